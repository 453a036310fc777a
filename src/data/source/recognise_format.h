#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "data/source/sentence_reader.h"

namespace hyperx::data {

constexpr size_t kHeadBytes = size_t{1} << 16;  // of a file, by which its format is recognised

// The format of a file that begins with `head` (kHeadBytes, or all of it). CoNLL-U has lines of ten columns that begin
// with an id. Other lines of columns are tagged. With `may_be_text`, standard input ("-") and files named .txt are
// running text. `spec.path` and the columns that spec names are looked at, too. UserError (65), saying which --format
// to give: the content does not fit the name, or could be words as well as running text.
SourceFormat recognise_format(const SourceSpec& spec, std::string_view head, bool may_be_text);

// UserError (65), as "file:line: ...", if the beginning of a file shows that it does not have spec.format: ids would be
// read as words, or columns as running text. `file` is its name in messages.
void check_format(const SourceSpec& spec, const std::string& file, std::string_view head);

// Whether the spec says where words stand in tagged lines, or which lines are none.
bool names_columns(const SourceSpec& spec);

// What is wrong with a comment line of CoNLL-U that names its columns (`# global.columns`, CoNLL-U Plus): others than
// the ten of CoNLL-U; "": nothing, or another comment.
std::string wrong_columns(std::string_view comment);

}  // namespace hyperx::data
