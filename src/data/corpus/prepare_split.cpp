#include "data/corpus/prepare_split.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <span>

#include "common/digest.h"
#include "common/errors.h"

namespace hyperx::data {

namespace {

bool is_syntactic_word(std::string_view id) {
  return std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Multiword ranges repeat the words that follow, so they are left out of the text comparison.
SentenceKey key_of(const Sentence& sentence) {
  if (sentence.ids.empty()) return sentence_key(sentence.words);
  std::vector<std::string_view> words;
  for (size_t w = 0; w < sentence.words.size(); ++w) {
    if (is_syntactic_word(sentence.ids[w])) words.push_back(sentence.words[w]);
  }
  return sentence_key(words);
}

void append_sentence(const Sentence& sentence, const Tokenizer& tokenizer, const std::string& label_position,
                     SplitArrays& split) {
  const size_t begin = split.token_ids.size();
  if (split.masked) {
    for (const std::string_view line : sentence.words) tokenizer.line(line, split.token_ids);
  } else {
    HYPERX_CHECK(sentence.labels.size() == sentence.words.size(), "a reader left out labels");
    for (const std::string_view word : sentence.words) {
      const size_t first = split.token_ids.size();
      tokenizer.word(word, split.token_ids);
      const std::span<const int32_t> ids = std::span(split.token_ids).subspan(first);
      split.word_positions.push_back(
          ids.empty() ? -1 : static_cast<int32_t>(first - begin + label_place(ids, tokenizer, label_position)));
    }
    split.labels.insert(split.labels.end(), sentence.labels.begin(), sentence.labels.end());
    split.word_starts.push_back(static_cast<int64_t>(split.word_positions.size()));
  }
  split.sentence_starts.push_back(static_cast<int64_t>(split.token_ids.size()));
  split.keys.push_back(key_of(sentence));
}

std::string shown_path(const std::string& path, const std::string& root) {
  const std::filesystem::path relative =
      std::filesystem::path(path).lexically_relative(std::filesystem::path(root).lexically_normal());
  return relative.empty() || *relative.begin() == ".." ? path : relative.string();
}

// Moves the kept ranges [starts[i], starts[i+1]) of `values` together and updates `starts`.
template <class T>
void keep_parts(std::vector<T>& values, const std::vector<int64_t>& starts, const std::vector<uint8_t>& drop) {
  auto out = values.begin();
  for (size_t i = 0; i < drop.size(); ++i) {
    if (drop[i] != 0) continue;
    out = std::move(values.begin() + starts[i], values.begin() + starts[i + 1], out);
  }
  values.erase(out, values.end());
}

std::vector<int64_t> kept_starts(const std::vector<int64_t>& starts, const std::vector<uint8_t>& drop) {
  std::vector<int64_t> kept{0};
  for (size_t i = 0; i < drop.size(); ++i) {
    if (drop[i] == 0) kept.push_back(kept.back() + starts[i + 1] - starts[i]);
  }
  return kept;
}

}  // namespace

SplitArrays read_split(const std::vector<const ManifestEntry*>& entries, const Task& task, const Tokenizer& tokenizer,
                       const std::string& label_position, const std::string& root) {
  SplitArrays split;
  split.masked = task.masked();
  Sentence sentence;
  int64_t room = kTextSentenceLimit;  // for text whose manifest line has no limit
  for (const ManifestEntry* entry : entries) {
    SourceSpec spec = entry->source;
    task.complete(spec);
    const bool limited = task.masked() && spec.limit == 0;
    const int64_t before = split.sentences();
    const std::unique_ptr<SentenceReader> reader = open_source(spec, task);
    while (reader->next(sentence)) {
      if (limited && room == 0) {
        split.limited = true;
        break;
      }
      append_sentence(sentence, tokenizer, label_position, split);
      split.cut +=
          std::count_if(sentence.tags.begin(), sentence.tags.end(), [&](auto tag) { return task.is_cut(tag); });
      if (limited) --room;
    }
    split.sources.push_back({shown_path(spec.path, root), sha256_of_file(spec.path), entry->origin, entry->licence,
                             split.sentences() - before});
  }
  return split;
}

int64_t drop_sentences(SplitArrays& split, const std::vector<uint8_t>& drop) {
  HYPERX_CHECK(static_cast<int64_t>(drop.size()) == split.sentences(), "a mark for each sentence");
  const auto dropped = static_cast<int64_t>(std::count_if(drop.begin(), drop.end(), [](uint8_t d) { return d != 0; }));
  if (dropped == 0) return 0;
  keep_parts(split.token_ids, split.sentence_starts, drop);
  split.sentence_starts = kept_starts(split.sentence_starts, drop);
  if (!split.masked) {
    keep_parts(split.word_positions, split.word_starts, drop);
    keep_parts(split.labels, split.word_starts, drop);
    split.word_starts = kept_starts(split.word_starts, drop);
  }
  std::vector<int64_t> each(drop.size() + 1);
  std::iota(each.begin(), each.end(), 0);
  keep_parts(split.keys, each, drop);
  return dropped;
}

std::vector<std::string> doubts_about(const SplitArrays& split, const SplitCounts& counts, const Task& task) {
  std::vector<std::string> doubts;
  if (2 * counts.unk > counts.subwords)
    doubts.push_back(
        fmt::format("{} of {} sub-words are unknown to the encoder's vocabulary, which may lack the script: "
                    "choose another encoder",
                    counts.unk, counts.subwords));
  if (counts.subwords == 0) doubts.emplace_back("the text has no sub-words: is it the right file?");
  if (split.masked || split.labels.empty()) return doubts;
  if (counts.empty + counts.truncated >= counts.words)
    doubts.push_back(
        fmt::format("none of its {} words can carry a label: {} have no sub-word, {} lie beyond "
                    "data.max_subwords",
                    counts.words, counts.empty, counts.truncated));
  const LabelId first = split.labels.front();
  if (split.labels.size() > 1 &&
      std::all_of(split.labels.begin(), split.labels.end(), [&](LabelId l) { return l == first; }))
    doubts.push_back(
        fmt::format("all of its {} words have the label {}, from which nothing can be learnt: is the right "
                    "column read?",
                    split.labels.size(), task.tag_of(first)));
  return doubts;
}

SplitCounts count_split(const SplitArrays& split, int32_t unk_id, int max_subwords) {
  const int64_t room = max_subwords - kFrameTokens;
  SplitCounts counts;
  counts.sentences = split.sentences();
  counts.words = static_cast<int64_t>(split.word_positions.size());
  counts.subwords = static_cast<int64_t>(split.token_ids.size());
  counts.cut = split.cut;
  counts.unk = std::count(split.token_ids.begin(), split.token_ids.end(), unk_id);
  for (const int32_t position : split.word_positions) {
    if (position < 0) ++counts.empty;
    if (position >= room) ++counts.truncated;
  }
  for (size_t i = 0; i + 1 < split.sentence_starts.size(); ++i) {
    const int64_t length = split.sentence_starts[i + 1] - split.sentence_starts[i];
    counts.longest = std::max(counts.longest, length);
    if (length > room) ++counts.over_limit;
    if (split.masked && length == 0) ++counts.empty;
  }
  return counts;
}

}  // namespace hyperx::data
