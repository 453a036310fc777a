#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "trainer/checkpoint/checkpoint.h"

// The text of manifest.json: JSON that holds a digest of itself.
namespace hyperx::train {

// Adds the digest; `object` is the rest.
std::string manifest_text(nlohmann::json object);
// UserError (65), see read_manifest(). `path` is for messages.
Manifest parse_manifest(std::string text, const std::string& path);
nlohmann::json files_object(const std::map<std::string, FileEntry>& files);

}  // namespace hyperx::train
