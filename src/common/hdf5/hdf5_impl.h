#pragma once

#include <unistd.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/errors.h"
#include "common/hdf5/hdf5_driver.h"
#include "common/hdf5/hdf5_file.h"
#include "common/hdf5/hdf5_handle.h"

// The state of h5::File, only for its own sources (hdf5_file.cpp, hdf5_attributes.cpp).
namespace hyperx::h5 {

struct File::Impl {
  std::string path;
  bool writing = false;
  bool closed = false;
  bool failed = false;     // a call failed: later calls cannot be trusted
  int64_t file_bytes = 0;  // of a file opened for reading
  WriteFailure failure;    // of a file that is written
  Handle file;
  std::map<std::string, Handle> streamed;  // the dataset that read_rows used last

  Place at(const std::string& object) const { return Place{path, object, !writing}; }

  ~Impl() {
    streamed.clear();
    file.reset();
    if (writing && !closed) ::unlink(path.c_str());
  }

  // SystemError: the operating system refused a write to this file.
  void require_written(const std::string& object) const {
    if (failure.number != 0)
      throw SystemError(path + (object.empty() ? "" : ": " + object) + ": cannot be written: " + failure.text);
  }

  // Runs a writing step, of `object` in messages, and remembers a failure.
  template <class Step>
  void step(const std::string& object, Step&& run) {
    HYPERX_CHECK(writing, path + " is open for reading");
    HYPERX_CHECK(!closed, path + " is closed");
    if (failed) throw SystemError(path + ": an earlier write failed: nothing more can be written to this file");
    keep_quiet();
    try {
      run();
      require_written(object);
    } catch (...) {
      failed = true;
      throw;
    }
  }

  bool exists(const std::string& name) const;
  void make_groups(const std::string& name);
  Handle make_dataset(const std::string& name, Type type, const std::vector<int64_t>& shape);
  Handle open_dataset(const std::string& name) const {
    keep_quiet();
    require_hard_links(name);
    return Handle(H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT), &H5Dclose, "H5Dopen2", at(name));
  }
  Handle open_object(const std::string& name) const {
    keep_quiet();
    require_hard_links(name);
    return Handle(H5Oopen(file.get(), name.empty() ? "/" : name.c_str(), H5P_DEFAULT), &H5Oclose, "H5Oopen", at(name));
  }
  // UserError (65): a part of the path is a link to another place, which may lie in another file.
  void require_hard_links(const std::string& name) const;
  [[noreturn]] void refuse(const std::string& name, const std::string& what) const;  // UserError (65)
  DatasetInfo describe(const std::string& name, const Handle& dataset) const;
  void require_stored(const DatasetInfo& info, const Handle& dataset, const Handle& plist) const;
  Type type_of(const std::string& name, const Handle& dataset) const;
  // Memory and file spaces of rows [first, first + rows) of a dataset, for H5Dread.
  std::pair<Handle, Handle> row_spaces(const DatasetInfo& set, const Handle& dataset, int64_t first,
                                       int64_t rows) const;
  // Appends the datasets of a group and the groups within it. `seen`: places of the objects that were visited.
  void list(const std::string& group, const Handle& opened, int depth, std::set<std::string>& seen,
            std::vector<DatasetInfo>& result) const;
  void put_attribute(const std::string& object, const std::string& name, hid_t type, const void* data);
};

}  // namespace hyperx::h5
