#pragma once

#include <compare>
#include <string>
#include <vector>

namespace hyperx::data {

// A task and a language: what a mini-batch is drawn from, a checkpoint has learnt, a score belongs to.
struct Pair {
  std::string task;
  std::string language;  // a code, or code@source for a second source of the same pair: "yo@masakhaner2"

  std::string name() const { return task + ":" + language; }       // "pos:tr"
  std::string file_name() const { return task + "." + language; }  // "pos.tr"
  // "yo" of "yo@masakhaner2": what names the language's embedding. A second source is data of the same language.
  std::string base_language() const { return language.substr(0, language.find('@')); }
  auto operator<=>(const Pair&) const = default;
};

// "pos:tr" -> {pos, tr}. UserError (78) when it is not of that form.
Pair parse_pair(const std::string& text);

// The members of `available` that a set such as "mlm:*,*:en,pos:{tr,kk},!ner:en" names, in the order of `available`,
// each once; a leading ! takes away. * stands for any name without @: second sources are named in full, or as
// "ner:*@*". An element that matches nothing, or a name in braces that does, is a UserError (78) that lists what there
// is.
std::vector<Pair> select_pairs(const std::string& set, const std::vector<Pair>& available, const std::string& key);

}  // namespace hyperx::data
