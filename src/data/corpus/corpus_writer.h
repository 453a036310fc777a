#pragma once

#include <string>
#include <utility>
#include <vector>

#include "data/corpus/corpus_index.h"
#include "data/corpus/prepare_split.h"

namespace hyperx::data {

// A folder that appears whole or not at all: filled as FOLDER.tmp, then renamed. Destroyed without commit(), the
// temporary one is removed. One left behind by a killed run is replaced.
class CorpusFolder {
 public:
  // UserError (73): `path` exists and holds something and `force` is false, or it holds something that is no corpus, or
  // its parent cannot be made, or another process writes it at this moment.
  CorpusFolder(const std::string& path, bool force);
  ~CorpusFolder();
  CorpusFolder(const CorpusFolder&) = delete;
  CorpusFolder& operator=(const CorpusFolder&) = delete;
  const std::string& temporary() const { return temporary_; }
  // SystemError (74), see replace_folder(): an old corpus then still stands.
  void commit();

 private:
  void take();  // the temporary folder, empty, for this process alone

  std::string path_, temporary_;
  int lock_ = -1;  // of the file in the temporary folder that says whose it is
  bool committed_ = false;
};

// Writes FOLDER/TASK.LANGUAGE.h5 and fills in `entry`: file, bytes, and each split's datasets. `splits` are (name,
// arrays).
void write_pair(const std::string& folder, const std::vector<std::pair<std::string, const SplitArrays*>>& splits,
                PairEntry& entry);

}  // namespace hyperx::data
