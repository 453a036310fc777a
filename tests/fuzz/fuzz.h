#pragma once

#include <string>
#include <string_view>

#include "common/errors.h"

// What the programs of this folder share: each NAME_fuzz.cpp defines parse(), and fuzz.cpp is what libFuzzer calls.
namespace hyperx::fuzz {

// Gives one input to a parser. UserError is how a parser refuses it; everything else is a finding: another exception, a
// crash, a report of a sanitizer, a failed HYPERX_CHECK, a hang, much memory.
void parse(std::string_view input);

// A folder in memory, new for each process.
const std::string& folder();
// Writes FOLDER/NAME, whose parent folder exists, and returns its path.
std::string write(const std::string& name, std::string_view content);

// For inputs that are parsed in several ways: one that is refused does not end the others.
template <class Parse>
void may_refuse(Parse&& run) {
  try {
    run();
  } catch (const UserError&) {
  }
}

// For what hyperx itself has written: to refuse it is a finding.
template <class Parse>
auto must_accept(Parse&& run) {
  try {
    return run();
  } catch (const UserError& error) {
    HYPERX_CHECK(false, std::string("what was written is refused: ") + error.what());
  }
}

// Reads every byte, so that AddressSanitizer sees a view of memory that is gone.
void touch(std::string_view bytes);

// `text` with the XXH128 of itself, the 32 digits after `marker`, put right where it holds one. Otherwise no changed
// input would reach what is read after the digest.
std::string with_right_digest(std::string_view text, std::string_view marker);

}  // namespace hyperx::fuzz
