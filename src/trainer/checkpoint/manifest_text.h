#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/errors.h"
#include "trainer/checkpoint/checkpoint.h"

// The text of manifest.json: JSON that holds a digest of itself.
namespace hyperx::train {

// A manifest of another format version: not damaged, and not to be set aside.
struct OtherFormat : UserError {
  using UserError::UserError;
};

// Adds the digest; `object` is the rest.
std::string manifest_text(nlohmann::json object);
// UserError (65), see read_manifest(). `path` is for messages.
Manifest parse_manifest(std::string text, const std::string& path);
nlohmann::json files_object(const std::map<std::string, FileEntry>& files);

}  // namespace hyperx::train
