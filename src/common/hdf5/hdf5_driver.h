#pragma once

#include <hdf5.h>

#include <string>

// How h5::File writes: HDF5 1.10 cannot clean up after a failed write. Its objects then outlive the file, keep it open,
// and crash the process when it ends. This driver therefore never reports a failure to HDF5. It keeps the first one,
// writes nothing after it, and h5::File looks at it after every call.
namespace hyperx::h5 {

struct WriteFailure {
  int number = 0;    // errno of the first failed write; 0: none
  std::string text;  // that and its meaning
};

// Makes a file that is created with `access` use this driver. `failure` must outlive the file.
// Returns what H5Pset_driver() does.
herr_t set_write_driver(hid_t access, WriteFailure* failure);

}  // namespace hyperx::h5
