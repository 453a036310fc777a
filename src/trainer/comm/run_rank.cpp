#include "trainer/comm/run_rank.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <new>

#include "common/errors.h"

namespace hyperx::comm {
namespace {

struct Failure {
  std::string reason;
  ExitCode code = ExitCode::kBug;
  bool of_user = false;
};

// Classifies the exception being handled, by rethrowing it.
Failure current_failure() {
  try {
    throw;
  } catch (const UserError& error) {
    return {error.what(), error.code(), true};
  } catch (const SystemError& error) {
    return {error.what(), error.code(), false};
  } catch (const std::bad_alloc&) {
    return {"not enough memory", ExitCode::kIo, false};
  } catch (const std::filesystem::filesystem_error& error) {
    return {error.path1().string() + ": " + error.code().message(), ExitCode::kIo, false};
  } catch (const c10::OutOfMemoryError& error) {
    return {std::string("not enough memory on the device: ") + error.what_without_backtrace(), ExitCode::kIo, false};
  } catch (const c10::Error& error) {
    if (std::string_view(error.what()).find("DefaultCPUAllocator") != std::string_view::npos)
      return {std::string("not enough memory: ") + error.what_without_backtrace(), ExitCode::kIo, false};
    return {std::string("LibTorch: ") + error.what_without_backtrace(), ExitCode::kBug, false};
  } catch (const std::exception& error) {
    return {std::string("a bug, please report it with the command line: ") + error.what(), ExitCode::kBug, false};
  } catch (...) {
    return {"a bug, please report it with the command line: an exception of unknown type", ExitCode::kBug, false};
  }
}

// In one write, so that the lines of several ranks do not mix.
void print_line(const std::string& text) {
  std::cout.flush();
  std::fputs((text + "\n").c_str(), stderr);
  std::fflush(stderr);
}

std::string describe(const FailureReport& report) {
  return "rank " + std::to_string(report.rank) + " on host " + report.host + " failed in section " + report.section +
         (report.step >= 0 ? " at step " + std::to_string(report.step) : "") + ": " + report.reason;
}

void tell(const OnFailure& on_failure, const FailureReport& report) {
  if (!on_failure) return;
  try {
    on_failure(report);
  } catch (const std::exception& error) {
    print_line(std::string("the failure could not be recorded: ") + error.what());
  }
}

// For a UserError on all ranks. Returns the lowest rank's code.
int end_together(const MpiSession& session, const RunRankOptions& options, FailureReport report) {
  const std::vector<std::string> reasons = session.gather_texts(report.reason);
  const std::vector<std::string> codes = session.gather_texts(std::to_string(report.exit_code));
  const auto first = std::find(reasons.begin(), reasons.end(), report.reason) - reasons.begin();
  if (first == report.rank) {
    report.of_all = std::all_of(reasons.begin(), reasons.end(), [&](const auto& r) { return r == reasons[0]; });
    print_line(options.title + ": " + (report.of_all ? report.reason : describe(report)));
    tell(options.on_failure, report);
  }
  return std::stoi(codes.front());
}

}  // namespace

int run_rank(MpiSession& session, RankProgress& progress, const RunRankOptions& options,
             const std::function<int()>& body) {
  Failure failure;
  try {
    return body();
  } catch (...) {
    failure = current_failure();
  }
  const RankProgress::Place place = progress.failure();
  FailureReport report{
      .rank = session.rank(), .host = session.info().host(), .section = place.section, .step = place.step};
  report.reason = failure.reason;
  report.exit_code = static_cast<int>(failure.code);
  if (session.size() == 1) {
    print_line(options.title + ": " + report.reason);
    tell(options.on_failure, report);
    return report.exit_code;
  }
  if (failure.of_user && session.all_arrive(options.agree_limit)) return end_together(session, options, report);
  print_line(options.title + ": " + describe(report));
  tell(options.on_failure, report);
  session.abort(report.exit_code);
}

}  // namespace hyperx::comm
