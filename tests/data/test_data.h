#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "common/errors.h"

// Where tests find what they do not make themselves.
namespace hyperx::data::test {

inline const std::string kEncoder = HYPERX_SOURCE_DIR "/examples/encoder";
inline const std::string kSampleData = HYPERX_SOURCE_DIR "/examples/sample/data/";
inline const std::string kReferenceCases = HYPERX_SOURCE_DIR "/tests/golden/cases/";

// The data that this manifest lists are too large for the repository: HYPERX_TEST_DATA names their folder.
inline const std::string kCollectionManifest = HYPERX_SOURCE_DIR "/configs/data/seventeen_languages.tsv";
inline const std::string kNoCollection =
    "HYPERX_TEST_DATA is not set: the folder with the files of configs/data/seventeen_languages.tsv";

// That folder with a slash at its end; nothing where the variable is not set. UserError where it names no folder.
inline std::optional<std::string> collection() {
  const char* const folder = std::getenv("HYPERX_TEST_DATA");
  if (folder == nullptr || *folder == '\0') return std::nullopt;
  if (!std::filesystem::is_directory(folder))
    throw UserError(ExitCode::kNoInput, std::string("HYPERX_TEST_DATA: no folder '") + folder +
                                            "': name the folder of the data, or unset the variable");
  return std::string(folder) + "/";
}

}  // namespace hyperx::data::test
