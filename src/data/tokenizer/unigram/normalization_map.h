#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hyperx::data {

// The map that SentencePiece and Hugging Face's `Precompiled` normaliser replace characters by: a trie (double array,
// as Darts lays it out) from UTF-8 sequences to offsets, and the texts at these offsets, each ended by a zero byte.
// Every place that a look-up can reach is checked once, so a look-up checks nothing.
class NormalizationMap {
 public:
  NormalizationMap() = default;  // changes nothing
  // `bytes`: u32 size of the trie in bytes, its u32 units, the texts; little-endian. Throws std::runtime_error with
  // what is wrong, for the caller to name the file.
  explicit NormalizationMap(std::string_view bytes);

  // `text` with its characters replaced as Hugging Face's `Precompiled` does: a grapheme cluster of fewer than 6 bytes
  // as a whole where its beginning is in the map, otherwise code point by code point.
  std::string normalize(std::string_view text) const;

 private:
  // The text for the shortest beginning of `chunk` that is in the map.
  std::optional<std::string_view> find(std::string_view chunk) const;
  void append_cluster(std::string_view cluster, std::string& text) const;
  void check() const;

  std::vector<uint32_t> units_;
  std::string texts_;
};

}  // namespace hyperx::data
