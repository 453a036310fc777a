#include "common/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <filesystem>

#include "common/errors.h"

namespace hyperx::log {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("hyperx", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%H:%M:%S %^%v%$");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

std::string& prefix() {
  static std::string text;
  return text;
}

}  // namespace

void set_rank(int rank, int size) {
  prefix() = size > 1 ? fmt::format("[{}/{}] ", rank, size) : "";
  logger().set_level(rank == 0 ? spdlog::level::info : spdlog::level::warn);
}

void add_file(const std::string& path) {
  if (std::filesystem::exists(path) && !std::filesystem::is_regular_file(path))
    throw UserError(ExitCode::kCannotCreate, path + ": is not a regular file: remove it, or name another run.dir");
  auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, false);
  sink->set_pattern("%Y-%m-%dT%H:%M:%S%z %l %v");
  logger().sinks().push_back(std::move(sink));
}

void write_info(const std::string& text) { logger().info("{}{}", prefix(), text); }
void write_warning(const std::string& text) { logger().warn("{}warning: {}", prefix(), text); }
void write_error(const std::string& text) { logger().error("{}error: {}", prefix(), text); }

}  // namespace hyperx::log
