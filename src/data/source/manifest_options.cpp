#include "data/source/manifest_options.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>
#include <vector>

#include "common/config/config.h"
#include "common/errors.h"
#include "common/read_error.h"

namespace hyperx::data {
namespace {

// One option of a manifest line.
struct Setting {
  std::string key, value;
  std::string where, root, folder;

  [[noreturn]] void fail(const std::string& expected) const {
    throw UserError(ExitCode::kBadData, fmt::format("{}: option {}, value '{}': {}", where, key, value, expected));
  }
  int64_t number() const {
    int64_t result = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (error != std::errc() || end != value.data() + value.size() || result < 1) fail("write a whole number from 1");
    return result;
  }
  int column() const {
    constexpr int64_t kMostColumns = 1000;
    if (number() > kMostColumns) fail("columns are numbered from 1");
    return static_cast<int>(number());
  }
  bool yes_or_no() const {
    if (value != "yes" && value != "no") fail("write yes or no");
    return value == "yes";
  }
  bool is(const std::string& on, const std::string& off) const {
    if (value != on && value != off) fail(fmt::format("write {} or {}", on, off));
    return value == on;
  }
  std::string file() const {
    for (const std::string& base : {root, folder}) {
      const std::string path = (std::filesystem::path(base) / value).lexically_normal().string();
      if (kind_of(path) != PathKind::kNothing) return path;
    }
    throw UserError(ExitCode::kNoInput,
                    fmt::format("{}: option {}: no file '{}' below {} or {}", where, key, value, root, folder));
  }
};

constexpr unsigned kConllu = 1, kTagged = 2, kText = 4;  // formats that an option applies to

struct Known {
  const char* key;
  unsigned formats;
  void (*apply)(const Setting&, ManifestEntry&);
};

constexpr Known kKnown[] = {
    {"labels", kConllu | kTagged,
     [](const Setting& s, ManifestEntry& e) {
       e.source.label_map_path = s.file();
       e.source.label_map = read_label_map(e.source.label_map_path);
     }},
    {"word", kTagged, [](const Setting& s, ManifestEntry& e) { e.source.word_column = s.column(); }},
    {"tag", kTagged, [](const Setting& s, ManifestEntry& e) { e.source.tag_column = s.column(); }},
    {"comment", kTagged, [](const Setting& s, ManifestEntry& e) { e.source.comment = s.value; }},
    {"prefix", kTagged, [](const Setting& s, ManifestEntry& e) { e.source.strip_prefix = s.is("strip", "keep"); }},
    {"scheme", kTagged, [](const Setting& s, ManifestEntry& e) { e.source.bilou = s.is("BILOU", "IOB2"); }},
    {"strip-diacritics", kConllu | kTagged | kText,
     [](const Setting& s, ManifestEntry& e) { e.source.strip_diacritics = s.yes_or_no(); }},
    {"limit", kConllu | kTagged | kText, [](const Setting& s, ManifestEntry& e) { e.source.limit = s.number(); }},
    {"source", kConllu | kTagged | kText, [](const Setting& s, ManifestEntry& e) { e.origin = s.value; }},
    {"licence", kConllu | kTagged | kText, [](const Setting& s, ManifestEntry& e) { e.licence = s.value; }},
};

unsigned bit_of(SourceFormat format) {
  return format == SourceFormat::kConllu ? kConllu : format == SourceFormat::kTagged ? kTagged : kText;
}

const Known& find_option(const Setting& setting) {
  const auto found =
      std::find_if(std::begin(kKnown), std::end(kKnown), [&](const Known& known) { return setting.key == known.key; });
  if (found != std::end(kKnown)) return *found;
  std::vector<std::string> keys;
  for (const Known& known : kKnown) keys.emplace_back(known.key);
  const std::string nearest = nearest_word(setting.key, keys);
  throw UserError(ExitCode::kBadData,
                  fmt::format("{}: unknown option, value '{}'{}; there are {}", setting.where, setting.key,
                              nearest.empty() ? "" : ": did you mean " + nearest + "?", fmt::join(keys, ", ")));
}

}  // namespace

void apply_options(const std::string& options, const std::string& where, const std::string& root,
                   const std::string& folder, ManifestEntry& entry) {
  std::set<std::string> seen;
  for (size_t begin = 0; begin < options.size();) {
    const size_t end = std::min(options.find(';', begin), options.size());
    const std::string option = options.substr(begin, end - begin);
    begin = end + 1;
    if (option.empty()) continue;
    const size_t equals = option.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == option.size())
      throw UserError(
          ExitCode::kBadData,
          fmt::format("{}: not an option, value '{}': write key=value, with ; between several", where, option));
    const Setting setting = {option.substr(0, equals), option.substr(equals + 1), where, root, folder};
    const Known& known = find_option(setting);
    if (!seen.insert(setting.key).second) setting.fail("the option stands here twice; keep one");
    if ((known.formats & bit_of(entry.source.format)) == 0)
      setting.fail("has no meaning for this line's format; leave it out");
    known.apply(setting, entry);
  }
}

}  // namespace hyperx::data
