#include "data/tasks/dependencies/dependencies.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "common/errors.h"
#include "data/tasks/dependencies/attachment_scorer.h"
#include "data/tasks/dependencies/dependency_label.h"

namespace hyperx::data {
namespace {

constexpr int kHeadColumn = 7, kColumns = 2;  // HEAD and DEPREL

std::string_view relation_of(std::string_view tag) { return tag.substr(std::min(tag.find('\t'), tag.size() - 1) + 1); }

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
  int32_t head = -1;
  const char* const end = tag.data() + tag.find('\t');
  const auto parsed = std::from_chars(tag.data(), end, head);
  const auto found = std::find(labels().begin(), labels().end(), relation);
  if (parsed.ec != std::errc() || parsed.ptr != end || head < 0 || found == labels().end()) return std::nullopt;
  return static_cast<LabelId>(DependencyLabel{head, found - labels().begin()}.packed(std::ssize(labels())));
}

std::string Dependencies::tag_of(LabelId label) const {
  const DependencyLabel parts = DependencyLabel::of(label, std::ssize(labels()));
  return std::to_string(parts.head) + "\t" + labels()[static_cast<size_t>(parts.relation)];
}

std::string Dependencies::why_not(std::string_view tag) const {
  if (tag.starts_with("_\t"))
    return "HEAD is missing, value '_': take a release of the treebank with trees, or use the file for another task";
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
