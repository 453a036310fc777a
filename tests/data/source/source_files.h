#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "common/errors.h"

namespace hyperx::data {

// A folder of this test's own, removed with it.
class SourceFiles {
 public:
  SourceFiles() {
    std::string name = (std::filesystem::temp_directory_path() / "hyperx-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp: " + errno_text());
    folder_ = name;
  }
  ~SourceFiles() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  SourceFiles(const SourceFiles&) = delete;
  SourceFiles& operator=(const SourceFiles&) = delete;

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string folder() const { return folder_; }
  std::string write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }

 private:
  std::string folder_;
};

// What `action` has to say to the user: "CODE message", or "" when all went well.
template <class Action>
std::string user_error(Action&& action) {
  try {
    action();
  } catch (const UserError& error) {
    return std::to_string(static_cast<int>(error.code())) + " " + error.what();
  }
  return "";
}

}  // namespace hyperx::data
