#include "data/tasks/tagging/seqeval_pos.h"

#include <algorithm>
#include <string_view>

#include "common/errors.h"
#include "data/tokenizer/utf8.h"

namespace hyperx::data {
namespace {

constexpr int kTypeBeforeAll = -1;  // the empty type before the first word: different from every tag's type

bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

}  // namespace

SeqevalPosScorer::SeqevalPosScorer(const std::vector<std::string>& labels) {
  const auto tag_of = [this](const std::string& label) {
    HYPERX_CHECK(!label.empty(), "an empty tag");
    size_t rest = 0;
    decode_utf8(label, rest);
    const size_t hyphen = label.find('-', rest);
    const std::string type = label.substr(hyphen == std::string::npos ? rest : hyphen + 1);
    const char chunk = rest == 1 && is_one_of(label[0], "BIESO.") ? label[0] : 'x';
    return Tag{chunk, type_index(type.empty() ? "_" : type)};
  };
  for (const std::string& label : labels) tags_.push_back(tag_of(label));
  outside_ = tag_of("O");
  missing_ = tag_of("_");
  gold_.before = predicted_.before = Tag{'O', kTypeBeforeAll};
}

int SeqevalPosScorer::type_index(const std::string& type) {
  const auto found = std::find(types_.begin(), types_.end(), type);
  if (found != types_.end()) return static_cast<int>(found - types_.begin());
  types_.push_back(type);
  counts_.emplace_back();
  return static_cast<int>(types_.size()) - 1;
}

bool SeqevalPosScorer::Walker::step(Tag tag, int64_t place, Chunk& ended) {
  const bool other_type = before.type != tag.type;
  const bool ends = is_one_of(before.chunk, "ES") || (is_one_of(before.chunk, "BI") && is_one_of(tag.chunk, "BSO")) ||
                    (!is_one_of(before.chunk, "O.") && other_type);
  const bool begins = is_one_of(tag.chunk, "BS") || (is_one_of(before.chunk, "ESO") && is_one_of(tag.chunk, "EI")) ||
                      (!is_one_of(tag.chunk, "O.") && other_type);
  if (ends) ended = {before.type, first};
  if (begins) first = place;
  before = tag;
  return ends;
}

void SeqevalPosScorer::step(Tag gold, Tag predicted) {
  Chunk gold_chunk, predicted_chunk;
  const bool gold_ends = gold_.step(gold, place_, gold_chunk);
  const bool predicted_ends = predicted_.step(predicted, place_, predicted_chunk);
  if (gold_ends) ++counts_[static_cast<size_t>(gold_chunk.type)].gold;
  if (predicted_ends) ++counts_[static_cast<size_t>(predicted_chunk.type)].predicted;
  // a chunk's last word is the one before this place, so two chunks can only be equal if they end together
  if (gold_ends && predicted_ends && gold_chunk == predicted_chunk)
    ++counts_[static_cast<size_t>(gold_chunk.type)].correct;
  ++place_;
}

void SeqevalPosScorer::add(std::span<const LabelId> gold, std::span<const LabelId> predicted) {
  HYPERX_CHECK(gold.size() == predicted.size(), "gold and predicted tags are not of one length");
  for (size_t i = 0; i < gold.size(); ++i) {
    const auto label_count = static_cast<LabelId>(tags_.size());
    HYPERX_CHECK(gold[i] >= 0 && gold[i] < label_count, "gold label " + std::to_string(gold[i]));
    HYPERX_CHECK(predicted[i] >= kNoPrediction && predicted[i] < label_count, "label " + std::to_string(predicted[i]));
    step(tags_[static_cast<size_t>(gold[i])],
         predicted[i] == kNoPrediction ? missing_ : tags_[static_cast<size_t>(predicted[i])]);
  }
  step(outside_, outside_);
}

Score SeqevalPosScorer::overall() const {
  MatchCounts all;
  for (const MatchCounts& counts : counts_) all.add(counts);
  return score_of(all);
}

std::map<std::string, Score> SeqevalPosScorer::types() const {
  std::map<std::string, Score> scores;
  for (size_t type = 0; type < types_.size(); ++type)
    if (counts_[type].gold + counts_[type].predicted > 0) scores[types_[type]] = score_of(counts_[type]);
  return scores;
}

}  // namespace hyperx::data
