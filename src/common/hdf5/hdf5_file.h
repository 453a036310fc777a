#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// The only place that calls the HDF5 C library (serial, 1.10). Every call is checked; a failure is a SystemError (74)
// with the file, the object and HDF5's own innermost message (for example "No space left on device"). Data that is
// damaged, or has another type or shape than asked for, is a UserError (65). A File may be used by one thread at a
// time; different Files may be used by different threads.
namespace hyperx::h5 {

enum class Type {
  kFloat32,
  kFloat64,
  kBFloat16,
  kInt16,
  kInt32,
  kInt64,
  kUInt8,
  kUInt64
};  // bf16 is stored as uint16 + attribute

std::string library_version();  // of the HDF5 that is loaded: "1.10.8"
size_t size_of(Type type);
const char* name_of(Type type);  // "float32", "bfloat16", ...

struct DatasetInfo {
  std::string name;  // full path inside the file, without a leading slash: "train/token_ids"
  Type type;
  std::vector<int64_t> shape;
  int64_t file_offset = -1;  // bytes from the start of the file; -1: cannot be mapped (empty, or not contiguous)
  int64_t element_count() const;
  int64_t byte_count() const;
};

class File {
 public:
  // Creates or replaces `path`; libver v110, no user block, datasets contiguous at offsets aligned to 64 bytes, so that
  // they can be memory-mapped. HDF5 keeps no checksum of such elements: the writer of a file stores its digest
  // elsewhere.
  static File create(const std::string& path);
  // Opens for reading, without file locks. UserError: 66 missing; 65 not HDF5, truncated, damaged, or of another byte
  // order.
  static File open(const std::string& path);
  ~File();
  File(File&&) noexcept;
  File& operator=(File&&) noexcept;

  // Creates missing groups. `data` holds the elements in row-major order. After a failed call nothing more can be
  // written, and close() throws: HDF5 itself would close such a file as if it were complete.
  void write(const std::string& name, Type type, const std::vector<int64_t>& shape, const void* data);

  std::vector<DatasetInfo> datasets() const;  // of the whole file, in order of creation within each group
  bool has(const std::string& name) const;
  DatasetInfo info(const std::string& name) const;
  // Reads all elements into `data`, which holds info(name).byte_count() bytes; the stored type must be `type`.
  void read(const std::string& name, Type type, void* data) const;
  void read_rows(const std::string& name, Type type, int64_t first_row, int64_t rows, void* data) const;

  // Text of any length, stored as a dataset of bytes.
  void write_text(const std::string& name, const std::string& text);
  std::string read_text(const std::string& name) const;

  // Attributes of the file ("" as object), a group or a dataset. Text is UTF-8 of at most 60,000 bytes; use write_text
  // for more.
  void set_attribute(const std::string& object, const std::string& name, const std::string& text);
  void set_attribute(const std::string& object, const std::string& name, int64_t value);
  std::string text_attribute(const std::string& object, const std::string& name) const;
  int64_t int_attribute(const std::string& object, const std::string& name) const;
  bool has_attribute(const std::string& object, const std::string& name) const;

  // Flushes and closes, checking each call, then fsyncs the file (unless `sync` is false: then the caller does). The
  // destructor removes a created file that was not closed this way.
  void close(bool sync = true);

 private:
  struct Impl;
  explicit File(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hyperx::h5
