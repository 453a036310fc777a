#include "data/tasks/entities/entity_f1.h"

#include <algorithm>
#include <set>

#include "common/errors.h"

namespace hyperx::data {
namespace {

constexpr size_t kCountsPerType = 3;  // gold, predicted, correct
constexpr EntityMode kModes[] = {EntityMode::kDefault, EntityMode::kStrict};

Score mean_of(const std::map<std::string, Score>& types, bool by_support) {
  Score mean;
  double weights = 0;
  for (const auto& [type, score] : types) {
    const double weight = by_support ? static_cast<double>(score.support) : 1.0;
    mean.precision += weight * score.precision;
    mean.recall += weight * score.recall;
    mean.f1 += weight * score.f1;
    mean.support += score.support;
    weights += weight;
  }
  const double divisor = weights == 0 ? 1.0 : weights;
  mean.precision /= divisor;
  mean.recall /= divisor;
  mean.f1 /= divisor;
  return mean;
}

}  // namespace

bool is_entity_tag(const std::string& tag) {
  return tag == "O" || (tag.size() > 2 && (tag[0] == 'B' || tag[0] == 'I') && tag[1] == '-');
}

EntityScorer::EntityScorer(const std::vector<std::string>& labels) {
  std::set<std::string> types;
  for (const std::string& label : labels) {
    if (!is_entity_tag(label))
      throw UserError(
          ExitCode::kBadData,
          "'" + label +
              "' is no entity tag: O, B-TYPE and I-TYPE are (a label map or scheme=BILOU may turn it into one)");
    if (label != "O") types.insert(label.substr(2));
  }
  types_.assign(types.begin(), types.end());
  for (const std::string& label : labels) {
    Tag tag;
    if (label != "O") {
      tag.prefix = label[0];
      tag.type = static_cast<int>(std::distance(types.begin(), types.find(label.substr(2))));
    }
    tags_.push_back(tag);
  }
  counts_.assign(std::size(kModes) * types_.size() * kCountsPerType, 0);
}

EntityScorer::Tag EntityScorer::tag_of(LabelId label) const {
  HYPERX_CHECK(label >= kNoPrediction && label < static_cast<LabelId>(tags_.size()), "label " + std::to_string(label));
  return label == kNoPrediction ? Tag{} : tags_[static_cast<size_t>(label)];
}

void EntityScorer::find_entities(std::span<const LabelId> labels, EntityMode mode, std::vector<Entity>& found) const {
  found.clear();
  int open_type = -1;  // type of the entity that the previous word belongs to; -1: none
  for (size_t i = 0; i < labels.size(); ++i) {
    const Tag tag = tag_of(labels[i]);
    const int place = static_cast<int>(i);
    if (tag.prefix == 'I' && tag.type == open_type) {
      found.back().last = place;
      continue;
    }
    const bool begins = tag.prefix == 'B' || (tag.prefix == 'I' && mode == EntityMode::kDefault);
    if (begins) found.push_back({tag.type, place, place});
    open_type = begins ? tag.type : -1;
  }
}

std::vector<Entity> EntityScorer::entities(std::span<const LabelId> labels, EntityMode mode) const {
  std::vector<Entity> found;
  find_entities(labels, mode, found);
  return found;
}

int64_t* EntityScorer::counts_of(EntityMode mode, int type) {
  const size_t row = static_cast<size_t>(mode) * types_.size() + static_cast<size_t>(type);
  return counts_.data() + row * kCountsPerType;
}

void EntityScorer::add(std::span<const LabelId> gold, std::span<const LabelId> predicted) {
  HYPERX_CHECK(gold.size() == predicted.size(), "gold and predicted tags are not of one length");
  for (const LabelId label : gold) HYPERX_CHECK(label >= 0, "a gold word without a label");
  for (const EntityMode mode : kModes) {
    find_entities(gold, mode, gold_);
    find_entities(predicted, mode, predicted_);
    for (const Entity& entity : gold_) ++counts_of(mode, entity.type)[0];
    auto candidate = gold_.begin();
    for (const Entity& entity : predicted_) {
      ++counts_of(mode, entity.type)[1];
      while (candidate != gold_.end() && candidate->first < entity.first) ++candidate;  // both lists are ascending
      if (candidate != gold_.end() && *candidate == entity) ++counts_of(mode, entity.type)[2];
    }
  }
}

MatchCounts EntityScorer::total(EntityMode mode) const {
  MatchCounts all;
  const int64_t* row = counts_.data() + static_cast<size_t>(mode) * types_.size() * kCountsPerType;
  for (size_t type = 0; type < types_.size(); ++type, row += kCountsPerType) all.add({row[0], row[1], row[2]});
  return all;
}

EntityScores EntityScorer::scores(EntityMode mode) const {
  EntityScores result;
  MatchCounts all;
  for (size_t type = 0; type < types_.size(); ++type) {
    const int64_t* const row = counts_.data() + (static_cast<size_t>(mode) * types_.size() + type) * kCountsPerType;
    const MatchCounts counts{row[0], row[1], row[2]};
    if (counts.gold + counts.predicted == 0) continue;
    result.counts[types_[type]] = counts;
    result.types[types_[type]] = score_of(counts);
    all.add(counts);
  }
  result.micro = score_of(all);
  result.macro = mean_of(result.types, false);
  result.weighted = mean_of(result.types, true);
  return result;
}

}  // namespace hyperx::data
