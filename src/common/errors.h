#pragma once

#include <stdexcept>
#include <string>

namespace hyperx {

// Exit codes of every hyperx command (sysexits.h). 75 means: everything is saved, run the same command again.
enum class ExitCode : int {
  kDone = 0,
  kUsage = 64,          // unknown command, missing argument
  kBadData = 65,        // an input file has invalid content
  kNoInput = 66,        // an input file is missing or cannot be read
  kUnavailable = 69,    // `doctor` found that something which a training needs is wrong
  kBug = 70,            // a condition that only a programming error can break
  kCannotCreate = 73,   // an output file or folder cannot be created
  kIo = 74,             // reading or writing failed midway
  kSavedRunAgain = 75,  // stopped by a signal with everything saved
  kBadConfig = 78,      // an invalid key or value
};

// A mistake of the user or in their files. The message names the thing, the place, the value and what to do, in one or
// two lines; main() prints it without a stack trace and exits with `code`.
class UserError : public std::runtime_error {
 public:
  UserError(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

// A failed call of the system or of a library (MPI, NCCL, CUDA, HDF5): call text, the library's own message, file:line.
class SystemError : public std::runtime_error {
 public:
  explicit SystemError(const std::string& message, ExitCode code = ExitCode::kIo)
      : std::runtime_error(message), code_(code) {}
  ExitCode code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

// "errno text (errno 28)" of the last failed system call.
std::string errno_text();

[[noreturn]] void check_failed(const char* condition, const char* file, int line, const std::string& message);

}  // namespace hyperx

// For our own bugs only: aborts with condition, place and message. Never for what a user or a file can cause.
#define HYPERX_CHECK(condition, message)                                                 \
  do {                                                                                   \
    if (!(condition)) ::hyperx::check_failed(#condition, __FILE__, __LINE__, (message)); \
  } while (false)
