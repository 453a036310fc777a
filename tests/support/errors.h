#pragma once

#include <gtest/gtest.h>

#include <string>

#include "common/errors.h"

namespace hyperx::test {

// The UserError that `action` throws: "CODE message", as in "65 a.conllu:3: ..."; "" where it throws none.
template <class Action>
std::string user_error(Action&& action) {
  try {
    action();
  } catch (const UserError& error) {
    return std::to_string(static_cast<int>(error.code())) + " " + error.what();
  }
  return "";
}

// Its message alone, where the code must be this one.
template <class Action>
std::string message_of(ExitCode code, Action&& action) {
  try {
    action();
  } catch (const UserError& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "";
}

}  // namespace hyperx::test
