#include "common/hdf5/hdf5_handle.h"

#include "common/errors.h"

namespace hyperx::h5 {

namespace {

struct Innermost {
  std::string text;
  bool system_call = false;  // the operating system refused; the text holds its errno
};

extern "C" herr_t take_first(unsigned number, const H5E_error2_t* error, void* result) {
  if (number != 0) return 0;
  auto& innermost = *static_cast<Innermost*>(result);
  char minor[128] = "";
  H5Eget_msg(error->min_num, nullptr, minor, sizeof minor);
  if (error->desc != nullptr) innermost.text = error->desc;
  innermost.system_call = innermost.text.find("errno = ") != std::string::npos;
  // "file write failed: time = ..., filename = ..., errno = 28, error message = '...', buf = ...": the two that matter
  const size_t number_at = innermost.text.find("errno = ");
  const size_t message_at = innermost.text.find("error message = '");
  if (number_at != std::string::npos && message_at != std::string::npos) {
    const size_t begin = message_at + 17;
    const std::string errno_digits =
        innermost.text.substr(number_at + 8, innermost.text.find(',', number_at) - number_at - 8);
    innermost.text =
        innermost.text.substr(begin, innermost.text.find('\'', begin) - begin) + " (errno " + errno_digits + ")";
  } else if (minor[0] != '\0') {
    innermost.text += std::string(" [") + minor + "]";
  }
  return 0;
}

}  // namespace

void keep_quiet() {
  static thread_local bool done = false;
  if (done) return;
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  done = true;
}

void fail(const char* call, const Place& place) {
  Innermost innermost;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, &take_first, &innermost);
  H5Eclear2(H5E_DEFAULT);
  std::string where = place.file;
  if (!place.object.empty()) where += ": " + place.object;
  const std::string cause = innermost.text.empty() ? std::string("HDF5 gives no reason") : innermost.text;
  if (place.reading && !innermost.system_call)
    throw UserError(ExitCode::kBadData, where + ": damaged, or not what is expected here: " + cause + " (" + call +
                                            "). Take another copy, or make it again.");
  throw SystemError(where + ": " + call + ": " + cause);
}

void Handle::reset() noexcept {
  if (id_ >= 0) closer_(std::exchange(id_, -1));
  H5Eclear2(H5E_DEFAULT);
}

void Handle::close(const char* call, const Place& place) {
  if (id_ >= 0) check(closer_(std::exchange(id_, -1)), call, place);
}

}  // namespace hyperx::h5
