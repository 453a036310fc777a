#include "common/host.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <fstream>

#include "common/errors.h"

namespace hyperx {

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = "";
  if (::gethostname(name, HOST_NAME_MAX) != 0) throw SystemError("gethostname: " + errno_text());
  return name;
}

int64_t usable_memory() {
  auto bytes = static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE);
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < static_cast<rlim_t>(bytes))
    bytes = static_cast<int64_t>(limit.rlim_cur);
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream file(path);
    if (int64_t most = 0; file >> most && most > 0) bytes = std::min(bytes, most);  // "max": none
  }
  return bytes;
}

}  // namespace hyperx
