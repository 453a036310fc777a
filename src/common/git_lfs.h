#pragma once

#include <string>
#include <string_view>

namespace hyperx {

// UserError (65) naming `path`: the content is a Git LFS pointer, which is there in place of a file that was not
// fetched.
void refuse_git_lfs_pointer(const std::string& path, std::string_view content);

}  // namespace hyperx
