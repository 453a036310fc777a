#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "data/source/sentence_reader.h"
#include "data/tasks/pair.h"
#include "data/tasks/task_set.h"

namespace hyperx::data {

// One line of a manifest: a file of a pair's split.
struct ManifestEntry {
  Pair pair;
  std::string split;   // train, dev or test
  SourceSpec source;   // path resolved against the root; label map already read
  std::string origin;  // source=: where the file comes from, for reports
  std::string licence;
  int line = 0;  // in the manifest, from 1
};

// What to prepare: TSV with the header "task language split format path options" (options may be absent), described in
// docs/file_formats.md. Lines that begin with # are comments. "# root = FOLDER" before the header sets the folder that
// paths are relative to; FOLDER is relative to the manifest's folder, which is the default.
struct Manifest {
  std::string path;
  std::string root;
  std::vector<ManifestEntry> entries;  // in file order; several of one pair and split are concatenated in the corpus
  std::map<std::pair<Pair, std::string>, std::vector<size_t>> by_split;  // pair, split -> indices into entries

  std::vector<Pair> pairs() const;                             // each once, in file order
  std::vector<std::string> splits_of(const Pair& pair) const;  // those of train, dev, test that exist
  std::vector<const ManifestEntry*> entries_of(const Pair& pair, const std::string& split) const;
};

// `root` (data.root) overrides the manifest's own; `tasks` are those that a line may name. UserError: 65 (with file,
// line, value and what to do); 66 the manifest, or a file that it lists, is missing (each with the manifest's line).
Manifest read_manifest(const std::string& path, const TaskSet& tasks, const std::string& root = "");

}  // namespace hyperx::data
