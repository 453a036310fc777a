#pragma once

#include <cstdint>
#include <vector>

namespace hyperx::data {

// Contiguous rows of one pair. All ranges are half-open.
struct Segment {
  int pair = 0;  // index into the list of pairs of the mixture (or the caller)
  int token_begin = 0, token_end = 0;
  int sentence_begin = 0, sentence_end = 0;
  int label_begin = 0, label_end = 0;
  int64_t label_count = 0;  // of this pair's whole mini-batch, over all ranks: the divisor of the loss
  int draw = 0;             // index among the step's mini-batches; evaluation: 0
};

constexpr int64_t kNoLabel = -100;  // in Batch::labels: ignored by the loss

// Sentences packed end to end without padding, in plain arrays that `model` turns into tensors.
struct Batch {
  std::vector<int64_t> input_ids;        // [tokens], [CLS] and [SEP] included; for mlm already masked
  std::vector<int64_t> positions;        // [tokens] position in its sentence, from 0
  std::vector<int32_t> sentence_starts;  // [sentences + 1] offsets into the tokens
  std::vector<int64_t> sentence_slots;   // [sentences] place in the whole step's batch, the same for any number of
                                         // ranks: keys the dropout
  std::vector<int64_t> sentence_ids;     // [sentences] index into the pair's split
  std::vector<int64_t> label_positions;  // [labels] row of the token that carries the label
  std::vector<int64_t> labels;           // [labels] index into the task's labels, or the token id for mlm
  std::vector<int32_t> label_words;      // [labels] index of the word in its sentence; mlm: of the sub-word
  std::vector<Segment> segments;
  // The rows with a label are, for each sentence, [CLS], which is no word (label_words: -1), and every sub-word of its
  // words; the first of a word has its label, which counts heads among the words of the sentence that are there.
  bool tree = false;

  int64_t tokens() const { return static_cast<int64_t>(input_ids.size()); }
  int64_t sentences() const { return static_cast<int64_t>(sentence_slots.size()); }
};

// The size of one whole mini-batch of a step, known to every rank before anything is computed.
struct DrawSummary {
  int pair = 0;
  int64_t sentences = 0;
  int64_t tokens = 0;       // [CLS] and [SEP] included
  int64_t label_count = 0;  // 0 (no token was chosen to be masked): the mini-batch's loss is 0
};

}  // namespace hyperx::data
