#pragma once

#include <string>
#include <vector>

#include "common/config/schema.h"

// Paths in the settings that a run stores. A path that lies in the working folder, as the run folder does, is stored
// relative to the run folder, so that the project can be moved and the run be used from anywhere; others are stored
// absolute.
namespace hyperx::config {

// `path` as it is stored in the run folder `run`; as it is if a settings file could not hold that, such as a #.
// `project`: the folder whose paths are stored relative; by default the working folder.
std::string stored_path(const std::string& path, const std::string& run, const std::string& project = ".");
// The reverse. What version 0.2.0 stored is relative to the working folder: so is a path that does not exist below
// `run`, but there.
std::string path_of_stored(const std::string& stored, const std::string& run);

// The paths of an option that names several between commas, without the blanks around them.
std::vector<std::string> paths_in(const std::string& list);

// The text of an option that names folders, with `change` done to each of them; of other options the text itself.
std::string with_paths(const Option& option, const std::string& text,
                       const std::function<std::string(const std::string&)>& change);

// The settings with every path as it is stored in the run folder.
Config stored_config(const Schema& schema, const Config& config, const std::string& run);

}  // namespace hyperx::config
