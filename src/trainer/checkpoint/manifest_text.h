#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/errors.h"
#include "trainer/checkpoint/checkpoint.h"

// The text of manifest.json: JSON that includes a digest of itself.
namespace hyperx::train {

// A manifest of another format version: it is not damaged, so the checkpoint must not be set aside.
struct OtherFormat : UserError {
  using UserError::UserError;
};

// `object` plus its digest, as text.
std::string manifest_text(nlohmann::json object);
// UserError (65), see read_manifest(). `path` is for messages.
Manifest parse_manifest(std::string text, const std::string& path);
nlohmann::json files_object(const std::map<std::string, FileEntry>& files);

}  // namespace hyperx::train
