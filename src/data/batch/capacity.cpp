#include "data/batch/capacity.h"

#include <algorithm>
#include <bit>

#include "common/errors.h"

namespace hyperx::data {
namespace {

constexpr int64_t kTokenStep = 64, kLabelStep = 16, kSentenceStep = 8, kLeastLongest = 64;

int64_t round_up(int64_t count, int64_t step) { return (count + step - 1) / step * step; }

// Rounds up to a multiple of an eighth of the power of two below `count`, or of `least` if that is larger.
int64_t next_rung(int64_t count, int64_t least) {
  const auto power = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(std::max<int64_t>(count, 1))));
  return round_up(std::max<int64_t>(count, 1), std::max(least, power / 8));
}

template <class T>
void append_range(std::vector<T>& into, const std::vector<T>& from, int64_t begin, int64_t end) {
  into.insert(into.end(), from.begin() + begin, from.begin() + end);
}

}  // namespace

Capacity capacity_of(const Batch& batch, bool masked) {
  Capacity capacity;
  int64_t longest = 0;
  for (size_t s = 0; s + 1 < batch.sentence_starts.size(); ++s)
    longest = std::max<int64_t>(longest, batch.sentence_starts[s + 1] - batch.sentence_starts[s]);
  capacity.longest = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(std::max(longest, kLeastLongest))));
  capacity.tokens = next_rung(batch.tokens(), kTokenStep);
  const int64_t fillers = (capacity.tokens - batch.tokens() + capacity.longest - 1) / capacity.longest;
  capacity.sentences = next_rung(batch.sentences() + fillers, kSentenceStep);
  capacity.labels = masked ? next_rung(std::ssize(batch.labels), kLabelStep) : capacity.tokens;
  return capacity;
}

Batch filled(const Batch& batch, const Capacity& capacity) {
  HYPERX_CHECK(batch.segments.size() == 1, "a batch of one segment is filled up");
  HYPERX_CHECK(batch.tokens() <= capacity.tokens && std::ssize(batch.labels) <= capacity.labels &&
                   batch.sentences() <= capacity.sentences,
               "the batch is beyond the capacity");
  Batch full = batch;
  const auto tokens = static_cast<size_t>(capacity.tokens), labels = static_cast<size_t>(capacity.labels);
  full.input_ids.resize(tokens, 0);
  full.positions.resize(tokens, 0);
  while (full.sentences() < capacity.sentences) {
    const int64_t begin = full.sentence_starts.back();
    full.sentence_starts.push_back(static_cast<int32_t>(std::min(begin + capacity.longest, capacity.tokens)));
    full.sentence_slots.push_back(0);
    full.sentence_ids.push_back(0);
  }
  HYPERX_CHECK(full.sentence_starts.back() == capacity.tokens, "too few sentences to fill the batch up");
  // Spread over the tokens: with a single row, its gradients would all be added to that row, one after the other.
  for (size_t label = batch.labels.size(); label < labels; ++label)
    full.label_positions.push_back(static_cast<int64_t>(label) % capacity.tokens);
  full.labels.resize(labels, kNoLabel);
  full.label_words.resize(labels, 0);
  Segment& segment = full.segments.front();
  segment.token_end = static_cast<int>(capacity.tokens);
  segment.sentence_end = static_cast<int>(capacity.sentences);
  segment.label_end = static_cast<int>(capacity.labels);
  return full;
}

std::vector<Batch> split_segments(const Batch& batch) {
  std::vector<Batch> parts;
  for (const Segment& segment : batch.segments) {
    Batch& part = parts.emplace_back();
    append_range(part.input_ids, batch.input_ids, segment.token_begin, segment.token_end);
    append_range(part.positions, batch.positions, segment.token_begin, segment.token_end);
    for (int s = segment.sentence_begin; s <= segment.sentence_end; ++s)
      part.sentence_starts.push_back(batch.sentence_starts[static_cast<size_t>(s)] - segment.token_begin);
    append_range(part.sentence_slots, batch.sentence_slots, segment.sentence_begin, segment.sentence_end);
    append_range(part.sentence_ids, batch.sentence_ids, segment.sentence_begin, segment.sentence_end);
    append_range(part.label_positions, batch.label_positions, segment.label_begin, segment.label_end);
    for (int64_t& position : part.label_positions) position -= segment.token_begin;
    append_range(part.labels, batch.labels, segment.label_begin, segment.label_end);
    append_range(part.label_words, batch.label_words, segment.label_begin, segment.label_end);
    part.tree = !part.label_words.empty() && part.label_words.front() < 0;
    part.segments = {segment};
    Segment& own = part.segments.front();
    own.token_begin = own.sentence_begin = own.label_begin = 0;
    own.token_end = segment.token_end - segment.token_begin;
    own.sentence_end = segment.sentence_end - segment.sentence_begin;
    own.label_end = segment.label_end - segment.label_begin;
  }
  return parts;
}

}  // namespace hyperx::data
