#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/files.h"

namespace hyperx::model {

// A safetensors file, mapped. Format: u64 header length (little-endian), JSON header, then one buffer without gaps.
// Everything is checked before use; any fault is a UserError (65) with file and tensor name.
class Safetensors {
 public:
  explicit Safetensors(const std::string& path);

  const std::string& path() const { return path_; }
  std::vector<std::string> names() const;
  bool has(const std::string& name) const { return entries_.count(name) != 0; }
  // A tensor that views the mapped file (read-only memory: never write to it) and keeps it alive; a copy where the
  // offset is not a multiple of the element size.
  at::Tensor tensor(const std::string& name) const;
  std::vector<int64_t> shape(const std::string& name) const;

 private:
  struct Entry {
    at::ScalarType type;
    std::vector<int64_t> shape;
    uint64_t begin, end;  // bytes from the start of the buffer
  };
  const Entry& entry(const std::string& name) const;
  std::string path_;
  std::shared_ptr<MappedFile> file_;  // shared with every tensor that views it
  const char* buffer_ = nullptr;
  std::map<std::string, Entry> entries_;
};

}  // namespace hyperx::model
