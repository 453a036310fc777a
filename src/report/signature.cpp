#include "report/signature.h"

#include <spdlog/fmt/fmt.h>

#include "data/source/source_reader.h"

namespace hyperx::report {
namespace {

constexpr size_t kDigestShown = 12;

// The scorer is "METRIC,max_subwords=N,TYPE[,...]" (trainer/evaluation writes it).
std::string part_of(const std::string& scorer, size_t index) {
  std::vector<std::string_view> parts;
  data::split_columns(scorer, ',', false, parts);
  return index < parts.size() ? std::string(parts[index]) : "";
}
constexpr size_t kLimit = 1, kType = 2;

}  // namespace

Signature parse_signature(const std::string& text) {
  std::vector<std::string_view> parts;
  data::split_columns(text, '|', false, parts);
  Signature signature;
  for (const std::string_view part : parts) {
    if (part.starts_with("source=")) signature.source = part.substr(7);
    if (part.starts_with("n=")) signature.size = part.substr(2);
  }
  constexpr size_t kScorer = 4, kVersion = 5;
  if (parts.size() > kScorer) signature.scorer = parts[kScorer];
  if (parts.size() > kVersion) signature.version = parts[kVersion];
  return signature;
}

std::string hard_difference(const data::EvaluationResult& a, const data::EvaluationResult& b) {
  if (&a == &b) return "";
  // A masked task counts the masked tokens, which the run's seed draws.
  const bool words_differ = data::is_share(a.main_metric) && a.words != b.words;
  if (a.sentences != b.sentences || words_differ)
    return fmt::format("the test files have {} sentences of {} words and {} of {}", a.sentences, a.words, b.sentences,
                       b.words);
  const Signature first = parse_signature(a.signature), second = parse_signature(b.signature);
  if (first.source != second.source)
    return fmt::format("the test files differ: {} and {}", first.source, second.source);
  const std::string limit = part_of(first.scorer, kLimit), other = part_of(second.scorer, kLimit);
  if (limit != other) return fmt::format("the scorers differ: {} and {}", limit, other);
  return "";
}

std::vector<std::string> soft_differences(const data::EvaluationResult& a, const data::EvaluationResult& b) {
  std::vector<std::string> found;
  if (&a == &b) return found;
  const Signature first = parse_signature(a.signature), second = parse_signature(b.signature);
  if (a.corpus_xxh128 != b.corpus_xxh128)
    found.push_back(
        fmt::format("the test files are equal, but they are from different corpora ({} and {}): the "
                    "training data may differ",
                    a.corpus_xxh128.substr(0, kDigestShown), b.corpus_xxh128.substr(0, kDigestShown)));
  const std::string type = part_of(first.scorer, kType), other = part_of(second.scorer, kType);
  if (type != other) found.push_back(fmt::format("computed in different types: {} and {}", type, other));
  if (first.version != second.version)
    found.push_back(fmt::format("scored by different versions: {} and {}", first.version, second.version));
  if (!data::is_share(a.main_metric) && a.words != b.words)
    found.emplace_back("each seed masks other tokens, so losses of different seeds are of the same sentences only");
  if (a.main_metric != b.main_metric)
    found.push_back(
        fmt::format("the runs were set to different main metrics, {} and {}", a.main_metric, b.main_metric));
  return found;
}

}  // namespace hyperx::report
