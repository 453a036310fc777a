#include "common/host.h"

#include <unistd.h>

#include <climits>

#include "common/errors.h"

namespace hyperx {

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = "";
  if (::gethostname(name, HOST_NAME_MAX) != 0) throw SystemError("gethostname: " + errno_text());
  return name;
}

}  // namespace hyperx
