#pragma once

#include <string>

#include "data/source/manifest.h"

namespace hyperx::data {

// Reads a manifest line's options ("labels=map.tsv;word=2;tag=3") into `entry`, whose format and task are already set.
// `where` is "manifest:line". Files are searched below `root`, then in `folder`, the manifest's own. UserError (65,
// 66).
void apply_options(const std::string& options, const std::string& where, const std::string& root,
                   const std::string& folder, ManifestEntry& entry);

}  // namespace hyperx::data
