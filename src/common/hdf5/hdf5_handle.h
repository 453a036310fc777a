#pragma once

#include <hdf5.h>

#include <string>
#include <utility>

// Basis of hdf5_file.cpp: owned identifiers and checked calls of the HDF5 C library. Only for the sources of h5::File.
namespace hyperx::h5 {

// Where a call was made, for its error message.
struct Place {
  const std::string& file;
  std::string object;
  bool reading;  // a failure without an errno then means damage in the file: UserError (65)
};

// Throws with the file, the object, the call and HDF5's innermost message. `call` is the function's name.
[[noreturn]] void fail(const char* call, const Place& place);

// Takes any HDF5 status or identifier: negative means failure.
template <class Status>
Status check(Status status, const char* call, const Place& place) {
  if (status < 0) fail(call, place);
  return status;
}

// Stops HDF5 from printing its error stack by itself, a setting of each thread.
void keep_quiet();

// An identifier with the function that closes it. The destructor ignores errors; close() checks, because H5Dclose is
// where a full disk can first be noticed.
class Handle {
 public:
  using CloseFunction = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, CloseFunction closer, const char* call, const Place& place)
      : id_(check(id, call, place)), closer_(closer) {}
  ~Handle() { reset(); }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), closer_(other.closer_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(closer_, other.closer_);
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  hid_t get() const { return id_; }
  bool open() const { return id_ >= 0; }
  void reset() noexcept;
  void close(const char* call, const Place& place);

 private:
  hid_t id_ = -1;
  CloseFunction closer_ = nullptr;
};

}  // namespace hyperx::h5
