#include "data/batch/batch_maker.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "common/errors.h"
#include "common/random.h"
#include "data/batch/tree_rows.h"
#include "data/tasks/dependencies/dependency_label.h"
#include "data/tokenizer/tokenizer.h"

namespace hyperx::data {

namespace {

struct Load {
  int64_t tokens = 0;
  std::vector<SentencePlace> places;  // one sentence, or all of a mini-batch
};

}  // namespace

BatchMaker::BatchMaker(const Corpus& corpus, std::vector<Pair> pairs, std::string split, int max_subwords,
                       uint64_t seed)
    : corpus_(corpus),
      pairs_(std::move(pairs)),
      split_name_(std::move(split)),
      room_(max_subwords - kFrameTokens),
      seed_(seed),
      masks_(corpus.index().mask_id, corpus.index().vocabulary_size),
      splits_(pairs_.size()) {
  if (room_ < 1) {
    throw UserError(
        ExitCode::kBadConfig,
        "data.max_subwords = " + std::to_string(max_subwords) +
            " leaves no room for words between the tokens that begin and end a sentence; it must be at least " +
            std::to_string(kFrameTokens + 1));
  }
  for (const Pair& pair : pairs_) {
    if (!corpus.has(pair, split_name_)) corpus.split(pair, split_name_);  // throws, listing the splits that exist
    const Task& task = corpus.tasks().at(pair.task);
    masked_.push_back(task.masked());
    tasks_.push_back(&task);
  }
}

const Split& BatchMaker::split(int pair) const {
  std::atomic<const Split*>& known = splits_[static_cast<size_t>(pair)];
  const Split* split = known.load(std::memory_order_acquire);
  if (split == nullptr) {
    split = &corpus_.split(pairs_[static_cast<size_t>(pair)], split_name_);
    known.store(split, std::memory_order_release);
  }
  return *split;
}

int64_t BatchMaker::kept_subwords(const Split& split, int64_t sentence) const {
  return std::min(split.length(sentence), room_);
}

int64_t BatchMaker::token_count(int pair, int64_t sentence) const {
  return kept_subwords(split(pair), sentence) + kFrameTokens;
}

int64_t BatchMaker::label_count(const Split& split, int64_t sentence, uint64_t mask_key, const Task& task) const {
  const int64_t kept = kept_subwords(split, sentence);
  if (task.masked()) return MlmMasks::count(kept, mask_key);
  const auto positions = split.word_positions_of(sentence);
  if (!task.is_tree())
    return std::count_if(positions.begin(), positions.end(), [&](int32_t p) { return p >= 0 && p < kept; });
  const std::vector<int64_t> candidates = candidates_of(positions, kept);
  const auto labels = split.labels_of(sentence);
  int64_t count = 0;
  for (size_t word = 0; word < positions.size(); ++word) {
    const int64_t head = DependencyLabel::of(labels[word], std::ssize(task.labels())).head;
    const bool head_is_there = head >= 0 && head < std::ssize(candidates) && candidates[static_cast<size_t>(head)] >= 0;
    count += candidates[word + 1] >= 0 && head_is_there;
  }
  return count;
}

std::vector<std::vector<SentencePlace>> BatchMaker::share(const StepPlan& plan, int ranks, ShareMode mode) const {
  HYPERX_CHECK(ranks > 0, "a job has a rank");
  std::vector<Load> loads;
  for (size_t d = 0; d < plan.draws.size(); ++d) {
    const Draw& draw = plan.draws[d];
    if (mode == ShareMode::kWhole) loads.emplace_back();
    for (size_t place = 0; place < draw.sentences.size(); ++place) {
      if (mode == ShareMode::kSplit) loads.emplace_back();
      loads.back().tokens += token_count(draw.pair, draw.sentences[place]);
      loads.back().places.push_back({static_cast<int>(d), static_cast<int>(place)});
    }
  }
  // The sort is stable and ties go to the lowest rank, so every rank computes the same result.
  std::stable_sort(loads.begin(), loads.end(), [](const Load& a, const Load& b) { return a.tokens > b.tokens; });
  std::vector<std::vector<SentencePlace>> shares(static_cast<size_t>(ranks));
  std::vector<int64_t> tokens(shares.size(), 0);
  for (const Load& load : loads) {
    const auto rank = static_cast<size_t>(std::min_element(tokens.begin(), tokens.end()) - tokens.begin());
    tokens[rank] += load.tokens;
    shares[rank].insert(shares[rank].end(), load.places.begin(), load.places.end());
  }
  for (std::vector<SentencePlace>& part : shares) std::sort(part.begin(), part.end());
  return shares;
}

std::vector<DrawSummary> BatchMaker::summarize(const StepPlan& plan) const {
  std::vector<DrawSummary> summaries;
  for (const Draw& draw : plan.draws) {
    const Split& from = split(draw.pair);
    DrawSummary summary;
    summary.pair = draw.pair;
    summary.sentences = std::ssize(draw.sentences);
    for (size_t place = 0; place < draw.sentences.size(); ++place) {
      const int64_t sentence = draw.sentences[place];
      const uint64_t key = MlmMasks::sentence_key(draw.mask_key, static_cast<int64_t>(place));
      summary.tokens += kept_subwords(from, sentence) + kFrameTokens;
      summary.label_count += label_count(from, sentence, key, task(draw.pair));
    }
    summaries.push_back(summary);
  }
  return summaries;
}

std::vector<std::vector<SentencePlace>> BatchMaker::pieces(const StepPlan& plan, const std::vector<SentencePlace>& part,
                                                           int64_t max_tokens) const {
  std::vector<std::vector<SentencePlace>> pieces;
  int64_t tokens = 0;
  for (const SentencePlace& item : part) {
    const Draw& draw = plan.draws[static_cast<size_t>(item.draw)];
    const int64_t more = token_count(draw.pair, draw.sentences[static_cast<size_t>(item.place)]);
    if (pieces.empty() || (max_tokens > 0 && tokens + more > max_tokens)) {
      pieces.emplace_back();
      tokens = 0;
    }
    pieces.back().push_back(item);
    tokens += more;
  }
  return pieces;
}

Batch BatchMaker::make(const StepPlan& plan, const std::vector<SentencePlace>& part,
                       const std::vector<DrawSummary>& draws) const {
  HYPERX_CHECK(draws.size() == plan.draws.size(), "the summary is of another plan");
  HYPERX_CHECK(std::is_sorted(part.begin(), part.end()), "segments are contiguous only in order");
  std::vector<int64_t> first_slots(draws.size() + 1, 0);
  for (size_t d = 0; d < draws.size(); ++d) first_slots[d + 1] = first_slots[d] + draws[d].sentences;
  Batch batch;
  batch.sentence_starts = {0};
  for (const SentencePlace& item : part) {
    const auto d = static_cast<size_t>(item.draw);
    const Draw& draw = plan.draws[d];
    if (batch.segments.empty() || batch.segments.back().draw != item.draw) {
      Segment segment;
      segment.pair = draw.pair;
      segment.draw = item.draw;
      segment.token_begin = static_cast<int>(batch.input_ids.size());
      segment.sentence_begin = static_cast<int>(batch.sentence_slots.size());
      segment.label_begin = static_cast<int>(batch.labels.size());
      segment.label_count = draws[d].label_count;
      batch.segments.push_back(segment);
    }
    const int64_t sentence = draw.sentences[static_cast<size_t>(item.place)];
    append(batch, draw.pair, sentence, first_slots[d] + item.place, MlmMasks::sentence_key(draw.mask_key, item.place));
    Segment& segment = batch.segments.back();
    segment.token_end = static_cast<int>(batch.input_ids.size());
    segment.sentence_end = static_cast<int>(batch.sentence_slots.size());
    segment.label_end = static_cast<int>(batch.labels.size());
  }
  return batch;
}

void BatchMaker::append(Batch& batch, int pair, int64_t sentence, int64_t slot, uint64_t mask_key) const {
  const Split& from = split(pair);
  const auto tokens = from.tokens_of(sentence);
  const int64_t kept = kept_subwords(from, sentence);
  const CorpusIndex& index = corpus_.index();
  const size_t first_row = batch.input_ids.size();
  batch.input_ids.push_back(index.cls_id);
  for (int64_t i = 0; i < kept; ++i) {
    const int32_t id = tokens[static_cast<size_t>(i)];
    if (id < 0 || id >= index.vocabulary_size) damaged(pair, sentence, "sub-word id " + std::to_string(id));
    batch.input_ids.push_back(id);
  }
  batch.input_ids.push_back(index.sep_id);
  for (int64_t i = 0; i < kept + kFrameTokens; ++i) batch.positions.push_back(i);
  batch.sentence_starts.push_back(static_cast<int32_t>(batch.input_ids.size()));
  batch.sentence_slots.push_back(slot);
  batch.sentence_ids.push_back(sentence);
  if (task(pair).is_tree()) {
    append_tree(batch, pair, from, sentence, kept, first_row);
    return;
  }
  if (!masked(pair)) {
    append_labels(batch, pair, from, sentence, kept, first_row);
    return;
  }
  std::vector<int32_t> chosen;
  masks_.apply({batch.input_ids.data() + first_row + 1, static_cast<size_t>(kept)}, mask_key, chosen);
  for (const int32_t place : chosen) {
    batch.label_positions.push_back(static_cast<int64_t>(first_row) + 1 + place);
    batch.labels.push_back(tokens[static_cast<size_t>(place)]);
    batch.label_words.push_back(place);
  }
}

void BatchMaker::check_word(int pair, const Split& split, int64_t sentence, int32_t position, LabelId label,
                            bool has_label) const {
  if (position < -1 || position >= split.length(sentence))
    damaged(pair, sentence, "word position " + std::to_string(position));
  if (has_label && (label < 0 || label >= task(pair).label_kinds(std::ssize(split.labels_of(sentence)))))
    damaged(pair, sentence, "label " + std::to_string(label));
}

// A word beyond the limit, or without a sub-word, has no label position.
void BatchMaker::append_labels(Batch& batch, int pair, const Split& split, int64_t sentence, int64_t kept,
                               size_t first_row) const {
  const auto positions = split.word_positions_of(sentence);
  const auto labels = split.labels_of(sentence);
  for (size_t word = 0; word < positions.size(); ++word) {
    const int32_t position = positions[word];
    const bool has_row = position >= 0 && position < kept;
    check_word(pair, split, sentence, position, labels[word], has_row);
    if (!has_row) continue;
    batch.label_positions.push_back(static_cast<int64_t>(first_row) + 1 + position);
    batch.labels.push_back(labels[word]);
    batch.label_words.push_back(static_cast<int32_t>(word));
  }
}

// A word whose head has no rows has rows, but no label.
void BatchMaker::append_tree(Batch& batch, int pair, const Split& split, int64_t sentence, int64_t kept,
                             size_t first_row) const {
  const auto positions = split.word_positions_of(sentence), tokens = split.tokens_of(sentence);
  const auto labels = split.labels_of(sentence);
  const int64_t relations = std::ssize(task(pair).labels());
  for (size_t word = 0; word < positions.size(); ++word)
    check_word(pair, split, sentence, positions[word], labels[word], true);
  const std::vector<int64_t> candidates = candidates_of(positions, kept);
  batch.tree = true;
  const auto add_row = [&](int64_t row, int64_t label, int32_t word) {
    batch.label_positions.push_back(static_cast<int64_t>(first_row) + row);
    batch.labels.push_back(label);
    batch.label_words.push_back(word);
  };
  add_row(0, kNoLabel, -1);
  for (size_t word = 0; word < positions.size(); ++word) {
    if (candidates[word + 1] < 0) continue;
    size_t next = word + 1;
    while (next < positions.size() && positions[next] < 0) ++next;
    const int64_t end = next < positions.size() ? std::min<int64_t>(positions[next], kept) : kept;
    DependencyLabel label = DependencyLabel::of(labels[word], relations);
    label.head = candidates[static_cast<size_t>(label.head)];
    for (int64_t at = positions[word]; at < end; ++at) {
      if (!is_row_of_word(at, positions[word], tokens[static_cast<size_t>(at)], corpus_.index().blank_id)) continue;
      const bool first = at == positions[word];
      add_row(at + 1, first && label.head >= 0 ? label.packed(relations) : kNoLabel, static_cast<int32_t>(word));
    }
  }
}

std::vector<std::vector<int64_t>> BatchMaker::evaluation_stretches(int pair, int64_t limit,
                                                                   int64_t batch_tokens) const {
  const Split& from = split(pair);
  const int64_t count = limit > 0 ? std::min(limit, from.sentences()) : from.sentences();
  std::vector<std::vector<int64_t>> stretches;
  int64_t tokens = 0;
  for (int64_t sentence = 0; sentence < count; ++sentence) {
    const int64_t more = kept_subwords(from, sentence) + kFrameTokens;
    if (stretches.empty() || tokens + more > batch_tokens) {
      stretches.emplace_back();
      tokens = 0;
    }
    stretches.back().push_back(sentence);
    tokens += more;
  }
  return stretches;
}

Batch BatchMaker::make_evaluation(int pair, const std::vector<int64_t>& sentences) const {
  Batch batch;
  batch.sentence_starts = {0};
  const uint64_t key = derive_key(seed_, "mask.evaluation:" + pairs_[static_cast<size_t>(pair)].name());
  for (const int64_t sentence : sentences) {
    append(batch, pair, sentence, sentence, MlmMasks::sentence_key(key, sentence));
  }
  if (!sentences.empty()) {
    Segment segment;
    segment.pair = pair;
    segment.token_end = static_cast<int>(batch.input_ids.size());
    segment.sentence_end = static_cast<int>(batch.sentence_slots.size());
    segment.label_end = static_cast<int>(batch.labels.size());
    segment.label_count = std::ssize(batch.labels);
    batch.segments.push_back(segment);
  }
  return batch;
}

void BatchMaker::damaged(int pair, int64_t sentence, const std::string& what) const {
  const Pair& name = pairs_[static_cast<size_t>(pair)];
  throw UserError(ExitCode::kBadData, corpus_.entry(name).file + ": " + split_name_ + " sentence " +
                                          std::to_string(sentence) + " has an impossible " + what +
                                          ": the corpus is damaged; prepare it again (hyperx prepare --force)");
}

}  // namespace hyperx::data
