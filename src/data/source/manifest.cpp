#include "data/source/manifest.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <set>
#include <tuple>

#include "common/errors.h"
#include "common/read_error.h"
#include "data/source/line_source.h"
#include "data/source/manifest_options.h"
#include "data/source/source_reader.h"

namespace hyperx::data {
namespace {

constexpr std::array<const char*, 6> kColumns = {"task", "language", "split", "format", "path", "options"};
constexpr size_t kRequiredColumns = 5;
constexpr std::array<const char*, 3> kSplits = {"train", "dev", "test"};

class ManifestParser {
 public:
  ManifestParser(const std::string& path, const TaskSet& tasks, const std::string& root)
      : lines_(path), tasks_(tasks), override_(root) {
    folder_ = std::filesystem::path(path).parent_path().string();
    if (folder_.empty()) folder_ = ".";
    manifest_.path = path;
    manifest_.root = root.empty() ? folder_ : root;
  }

  Manifest parse() {
    bool header = false;
    for (std::string_view line; lines_.next(line);) {
      if (line.starts_with('#')) {
        if (!header) read_root(line);
      } else if (!is_blank(line)) {
        split_columns(line, '\t', false, columns_);
        if (header) add_entry();
        if (!header) read_header();
        header = true;
      }
    }
    if (manifest_.entries.empty())
      fail("names no file: after the header, write lines of task, language, split, format, path, options");
    return std::move(manifest_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { lines_.fail(std::max<int64_t>(lines_.number(), 1), what); }
  std::string where() const { return fmt::format("{}:{}", lines_.path(), lines_.number()); }

  void read_root(std::string_view comment) {
    constexpr std::string_view kKey = "root";
    const auto trim = [](std::string_view text) {
      text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
      return text.substr(0, text.find_last_not_of(" \t") + 1);
    };
    const size_t equals = comment.find('=');
    if (equals == std::string_view::npos || trim(comment.substr(1, equals - 1)) != kKey || !override_.empty()) return;
    manifest_.root = (std::filesystem::path(folder_) / trim(comment.substr(equals + 1))).lexically_normal().string();
  }

  void read_header() {
    const bool right = columns_.size() >= kRequiredColumns && columns_.size() <= kColumns.size() &&
                       std::equal(columns_.begin(), columns_.end(), kColumns.begin());
    if (!right)
      fail(
          fmt::format("not the header of a manifest, value '{}': the first line that is no comment names the columns, "
                      "with tabs between "
                      "them: {}",
                      fmt::join(columns_, " "), fmt::join(kColumns, " ")));
    if (kind_of(manifest_.root) != PathKind::kFolder)
      throw UserError(ExitCode::kNoInput, fmt::format("{}: the data folder {} is absent: give its place by --data.root",
                                                      lines_.path(), manifest_.root));
  }

  void add_entry() {
    if (columns_.size() < kRequiredColumns || columns_.size() > kColumns.size())
      fail(fmt::format("{} columns, value '{}': write {}, with tabs between them", columns_.size(),
                       fmt::join(columns_, "|"), fmt::join(kColumns, ", ")));
    ManifestEntry entry;
    entry.line = static_cast<int>(lines_.number());
    entry.pair = read_pair();
    entry.split = columns_[2];
    if (std::find(kSplits.begin(), kSplits.end(), entry.split) == kSplits.end())
      fail(fmt::format("unknown split, value '{}': {} are known", entry.split, fmt::join(kSplits, ", ")));
    entry.source.format = parse_source_format(std::string(columns_[3]), where());
    check_format(entry);
    entry.source.path = read_path(entry);
    if (columns_.size() > kRequiredColumns)
      apply_options(std::string(columns_[5]), where(), manifest_.root, folder_, entry);
    manifest_.by_split[{entry.pair, entry.split}].push_back(manifest_.entries.size());
    manifest_.entries.push_back(std::move(entry));
  }

  Pair read_pair() const {
    try {
      Pair pair = parse_pair(fmt::format("{}:{}", columns_[0], columns_[1]));
      tasks_.at(pair.task);
      return pair;
    } catch (const UserError& error) {  // there it is a mistake in the configuration, here one in a file
      fail(error.what());
    }
  }

  void check_format(const ManifestEntry& entry) const {
    const Task& task = tasks_.at(entry.pair.task);
    if (!task.reads(entry.source.format))
      fail(fmt::format("format and task do not go together, value '{}': {} takes {}", columns_[3], task.name(),
                       formats_of(task)));
  }

  std::string read_path(const ManifestEntry& entry) {
    if (columns_[4].empty()) fail("no path: name the file, relative to the data folder");
    const std::string path = (std::filesystem::path(manifest_.root) / columns_[4]).lexically_normal().string();
    if (kind_of(path) != PathKind::kFile)
      throw UserError(
          ExitCode::kNoInput,
          fmt::format("{}: {} '{}': correct the path, or give the data folder by --data.root (now {})", where(),
                      kind_of(path) != PathKind::kNothing ? "not a file" : "no such file", path, manifest_.root));
    if (!seen_.emplace(entry.pair.name(), entry.split, path).second)
      fail(fmt::format("the file is named twice for {} {}, value '{}': remove one line", entry.pair.name(), entry.split,
                       columns_[4]));
    return path;
  }

  LineSource lines_;
  const TaskSet& tasks_;
  std::string override_, folder_;
  std::vector<std::string_view> columns_;
  std::set<std::tuple<std::string, std::string, std::string>> seen_;
  Manifest manifest_;
};

}  // namespace

std::vector<Pair> Manifest::pairs() const {
  std::vector<Pair> result;
  std::set<Pair> seen;
  for (const ManifestEntry& entry : entries)
    if (seen.insert(entry.pair).second) result.push_back(entry.pair);
  return result;
}

std::vector<std::string> Manifest::splits_of(const Pair& pair) const {
  std::vector<std::string> result;
  for (const char* const split : kSplits)
    if (by_split.contains({pair, split})) result.emplace_back(split);
  return result;
}

std::vector<const ManifestEntry*> Manifest::entries_of(const Pair& pair, const std::string& split) const {
  std::vector<const ManifestEntry*> result;
  const auto found = by_split.find({pair, split});
  if (found == by_split.end()) return result;
  for (const size_t place : found->second) result.push_back(&entries[place]);
  return result;
}

Manifest read_manifest(const std::string& path, const TaskSet& tasks, const std::string& root) {
  return ManifestParser(path, tasks, root).parse();
}

}  // namespace hyperx::data
