#pragma once

#include <string>

#include "data/source/manifest.h"

namespace hyperx::data {

// Reads a manifest line's options ("labels=map.tsv;word=2;tag=3") into `entry`, whose format and task are set. `where`
// is "manifest:line". Files are looked for below `root`, then beside the manifest in `folder`. UserError (65, 66).
void apply_options(const std::string& options, const std::string& where, const std::string& root,
                   const std::string& folder, ManifestEntry& entry);

}  // namespace hyperx::data
