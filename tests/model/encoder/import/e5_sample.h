#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/folder.h"

// A tiny file in the format of e5-small-q4.bin, written by the test itself. Members may be changed to make faults.
namespace hyperx::model::test {

template <class Number>
void append(std::string& text, Number value) {
  text.append(reinterpret_cast<const char*>(&value), sizeof value);
}

struct E5Sample {
  struct Tensor {
    std::string name;
    uint8_t type;  // 0: float32, 1: blocks
    uint32_t elements;
    std::string data;
    uint64_t offset = 0, bytes = 0;  // set by text()
  };
  static constexpr uint32_t kHidden = 32, kIntermediate = 64, kVocabulary = 9, kPositions = 3, kTypes = 2;

  uint32_t version = 1, layers = 1, heads = 2, block = 32;
  int32_t hidden = kHidden, intermediate = kIntermediate, vocabulary = kVocabulary;
  float eps = 1e-12F;
  std::vector<std::string> pieces = {"<s>", "<pad>", "</s>", "<unk>", ",", "\xE2\x96\x81", "\xE7\xA8\xA3", "<mask>"};
  int32_t begin = 0, end = 2, padding = 1, unknown = 3;
  std::vector<Tensor> tensors;
  std::function<void(Tensor&)> change;  // called for each entry of the directory before it is written

  E5Sample() {
    add("emb.word", 1, kVocabulary * kHidden);
    add("emb.pos", 0, kPositions * kHidden);
    add("emb.type", 0, kTypes * kHidden);
    add_pair("emb.ln", 0, kHidden, kHidden);
    for (const char* part : {"q", "k", "v", "ao"}) add_pair(std::string("l0.") + part, 1, kHidden * kHidden, kHidden);
    add_pair("l0.aln", 0, kHidden, kHidden);
    add_pair("l0.fi", 1, kHidden * kIntermediate, kIntermediate);
    add_pair("l0.fo", 1, kHidden * kIntermediate, kHidden);
    add_pair("l0.oln", 0, kHidden, kHidden);
  }

  Tensor& tensor(const std::string& name) {
    for (Tensor& each : tensors)
      if (each.name == name) return each;
    HYPERX_CHECK(false, "no tensor " + name);
  }

  // The bytes of the file.
  std::string text() {
    std::string text = "E5S1";
    append(text, version);
    for (const int32_t size : {hidden, static_cast<int32_t>(layers), static_cast<int32_t>(heads), intermediate,
                               vocabulary, static_cast<int32_t>(kPositions), static_cast<int32_t>(kTypes)})
      append(text, size);
    append(text, eps);
    append(text, block);
    append(text, static_cast<int32_t>(pieces.size()));
    for (const int32_t id : {begin, end, padding, unknown}) append(text, id);
    std::string piece_text;
    for (const std::string& piece : pieces) piece_text += piece;
    append(text, static_cast<uint64_t>(piece_text.size()));
    uint32_t offset = 0;
    append(text, offset);
    for (const std::string& piece : pieces) append(text, offset += static_cast<uint32_t>(piece.size()));
    text.append(pieces.size() * sizeof(float), '\0');  // scores
    text += piece_text;
    append(text, int32_t{1});  // a normalisation map of one entry
    append(text, uint32_t{9});
    text.append(9, '\1');
    add_directory(text);
    return text;
  }

  std::string tokenizer_json() const {
    std::string text = R"({"version":"1.0","model":{"type":"Unigram","unk_id":3,"vocab":[)";
    for (size_t i = 0; i < pieces.size(); ++i) text += (i > 0 ? ",[\"" : "[\"") + pieces[i] + "\",-1.5]";
    return text + "]},\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\u2581\"}}\n";
  }

 private:
  void add(const std::string& name, uint8_t type, uint32_t elements) {
    std::string data;
    const auto seed = static_cast<uint32_t>(tensors.size() + 1);
    for (uint32_t i = 0; type == 0 && i < elements; ++i)
      append(data, static_cast<float>(static_cast<int32_t>(i * seed % 101) - 50) / 64);
    for (uint32_t i = 0; type == 1 && i < elements / 32; ++i) {
      append(data, static_cast<uint16_t>(0x2c00 + (i * seed * 37 & 0x3ff)));  // scales from 1/16 to 1/8
      for (uint32_t j = 0; j < 16; ++j) data += static_cast<char>(i * 7 + j * 53 + seed);
    }
    tensors.push_back({name, type, elements, data});
  }
  void add_pair(const std::string& name, uint8_t type, uint32_t weights, uint32_t biases) {
    add(name + ".w", type, weights);
    add(name + ".b", 0, biases);
  }

  void add_directory(std::string& text) {
    append(text, static_cast<int32_t>(tensors.size()));
    size_t at = text.size();
    for (const Tensor& each : tensors) at += 2 + each.name.size() + 1 + 4 + 8 + 8;
    for (Tensor each : tensors) {
      each.offset = at;
      each.bytes = each.data.size();
      at += each.data.size();
      if (change) change(each);
      append(text, static_cast<uint16_t>(each.name.size()));
      text += each.name;
      append(text, each.type);
      append(text, each.elements);
      append(text, each.offset);
      append(text, each.bytes);
    }
    for (const Tensor& each : tensors) text += each.data;
  }
};

}  // namespace hyperx::model::test
