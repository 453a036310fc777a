#include "data/tasks/dependencies/dependencies.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "common/errors.h"
#include "data/tasks/dependencies/attachment_scorer.h"
#include "data/tasks/dependencies/dependency_label.h"

namespace hyperx::data {
namespace {

constexpr int kHeadColumn = 7, kColumns = 2;  // HEAD and DEPREL

std::string_view relation_of(std::string_view tag) {
  const size_t tab = tag.find('\t');
  return tab == std::string_view::npos ? std::string_view() : tag.substr(tab + 1);
}

}  // namespace

void Dependencies::complete(SourceSpec& source) const {
  if (!source.label_map.empty())
    throw UserError(ExitCode::kBadData, fmt::format("{}: labels={} has no effect on {}, whose labels are heads and "
                                                    "relations: remove it",
                                                    source.path, source.label_map_path, name()));
  source.conllu_column = kHeadColumn;
  source.conllu_columns = kColumns;
  source.keep_multiword = false;
  source.read_heads = source.read_tags;
}

std::optional<LabelId> Dependencies::label_of(std::string_view tag) const {
  const std::string_view whole = relation_of(tag), relation = whole.substr(0, whole.find(':'));
  const size_t tab = tag.find('\t');
  const auto found = std::find(labels().begin(), labels().end(), relation);
  if (tab == std::string_view::npos || found == labels().end()) return std::nullopt;
  int32_t head = -1;
  const auto parsed = std::from_chars(tag.data(), tag.data() + tab, head);
  if (parsed.ec != std::errc() || parsed.ptr != tag.data() + tab || head < 0) return std::nullopt;
  const int64_t packed = DependencyLabel{head, found - labels().begin()}.packed(std::ssize(labels()));
  if (packed > std::numeric_limits<LabelId>::max()) return std::nullopt;
  return static_cast<LabelId>(packed);
}

std::string Dependencies::tag_of(LabelId label) const {
  const DependencyLabel parts = DependencyLabel::of(label, std::ssize(labels()));
  return std::to_string(parts.head) + "\t" + labels()[static_cast<size_t>(parts.relation)];
}

std::string Dependencies::why_not(std::string_view tag) const {
  if (tag.starts_with("_\t"))
    return "HEAD is missing, value '_': take a release of the treebank with trees, or use the file for another task";
  const std::string_view relation = relation_of(tag);
  if (std::find(labels().begin(), labels().end(), relation.substr(0, relation.find(':'))) != labels().end())
    return fmt::format("HEAD is not the number of a word, value '{}': write the head's id, or 0 for the root",
                       tag.substr(0, tag.find('\t')));
  return fmt::format("unknown relation, value '{}': the relations of {} are {}", relation_of(tag), name(),
                     fmt::join(labels(), " "));
}

std::unique_ptr<Scorer> Dependencies::scorer(const std::vector<std::string>&) const {
  return std::make_unique<AttachmentScorer>(labels());
}

std::vector<std::string> universal_relations() {
  return {"acl",       "advcl",      "advmod",   "amod",     "appos", "aux",      "case",   "cc",
          "ccomp",     "clf",        "compound", "conj",     "cop",   "csubj",    "dep",    "det",
          "discourse", "dislocated", "expl",     "fixed",    "flat",  "goeswith", "iobj",   "list",
          "mark",      "nmod",       "nsubj",    "nummod",   "obj",   "obl",      "orphan", "parataxis",
          "punct",     "reparandum", "root",     "vocative", "xcomp", "_"};
}

}  // namespace hyperx::data
