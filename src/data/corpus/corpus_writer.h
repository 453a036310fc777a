#pragma once

#include <string>
#include <utility>
#include <vector>

#include "data/corpus/corpus_index.h"
#include "data/corpus/prepare_split.h"

namespace hyperx::data {

// A folder that appears as a whole or not at all: it is filled as FOLDER.tmp, then renamed. The destructor removes the
// temporary folder if commit() was not called. What a killed run left behind is removed, and an old corpus that it had
// put aside gets its name back. A marker file in the temporary folder is locked; on a file system without locks it
// tells which process of this machine writes the corpus, and one of another machine is only warned of.
class CorpusFolder {
 public:
  // UserError (73): `path` is not empty and `force` is false, or it holds something that is not a corpus, or its parent
  // cannot be created, or another process is writing it.
  CorpusFolder(const std::string& path, bool force);
  ~CorpusFolder();
  CorpusFolder(const CorpusFolder&) = delete;
  CorpusFolder& operator=(const CorpusFolder&) = delete;
  const std::string& temporary() const { return temporary_; }
  // SystemError (74), see replace_folder(); an old corpus is then still there.
  void commit();

 private:
  void refuse_existing(bool force) const;
  int lock_marker(const std::string& folder) const;  // UserError (73): another prepare holds it
  void remove_leftovers() const;
  void release();

  std::string path_, temporary_;
  int lock_ = -1;  // lock on the file in the temporary folder that names its owner
  bool committed_ = false;
};

// Writes FOLDER/TASK.LANGUAGE.h5 and fills in `entry`: file, bytes, xxh128, and each split's datasets. `splits` are
// (name, arrays).
void write_pair(const std::string& folder, const std::vector<std::pair<std::string, const SplitArrays*>>& splits,
                PairEntry& entry);

}  // namespace hyperx::data
