#include "common/git_lfs.h"

#include "common/errors.h"

namespace hyperx {

void refuse_git_lfs_pointer(const std::string& path, std::string_view content) {
  if (content.starts_with("version https://git-lfs.github.com/spec/"))
    throw UserError(ExitCode::kBadData,
                    path + ": a Git LFS pointer in place of the file: fetch the file itself, as by `git lfs pull`");
}

}  // namespace hyperx
