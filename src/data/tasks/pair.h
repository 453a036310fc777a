#pragma once

#include <compare>
#include <string>
#include <vector>

namespace hyperx::data {

// A task and a language: the unit that mini-batches are drawn from, checkpoints are trained on and scores belong to.
struct Pair {
  std::string task;
  std::string language;  // a code, or code@source for a second source of the same pair: "yo@masakhaner2"

  std::string name() const { return task + ":" + language; }       // "pos:tr"
  std::string file_name() const { return task + "." + language; }  // "pos.tr"
  // "yo" of "yo@masakhaner2": selects the language's embedding. A second source is data of the same language.
  std::string base_language() const { return language.substr(0, language.find('@')); }
  auto operator<=>(const Pair&) const = default;
};

// "pos:tr" -> {pos, tr}. UserError (78) for any other form.
Pair parse_pair(const std::string& text);

// The elements of `available` that a set such as "mlm:*,*:en,pos:{tr,kk},!ner:en" names, in the order of `available`,
// each once; a leading ! excludes. * matches any name without @: second sources are named in full, or as "ner:*@*".
// UserError (78), listing the available pairs: an element, or a name in braces, that matches nothing. `key` is the
// option's key, for messages.
std::vector<Pair> select_pairs(const std::string& set, const std::vector<Pair>& available, const std::string& key);

}  // namespace hyperx::data
