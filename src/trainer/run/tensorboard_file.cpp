#include "trainer/run/tensorboard_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <boost/crc.hpp>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "common/errors.h"
#include "common/files.h"
#include "common/host.h"
#include "common/json.h"
#include "common/log.h"
#include "common/read_error.h"

// The format: TFRecord frames (tensorflow/core/lib/io/record_writer.h), each with one Event message
// (tensorflow/core/util/event.proto) in protobuf's encoding.
namespace hyperx::train {

namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie in memory");

constexpr char kNameBegin[] = "events.out.tfevents.";

// Field numbers of the messages.
enum EventField { kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7 };
enum SummaryField { kValue = 1 };
enum ValueField { kTag = 1, kSimpleValue = 2 };
enum SessionLogField { kStatus = 1 };
constexpr uint64_t kSessionStart = 1;  // tells a TensorBoard that is open to forget the steps from this one on

enum WireType { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

template <class Number>
void append_bytes(std::string& text, Number number) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  text.append(bytes, sizeof number);
}

void append_varint(std::string& text, uint64_t number) {
  for (; number >= 0x80; number >>= 7) text.push_back(static_cast<char>(number | 0x80));
  text.push_back(static_cast<char>(number));
}

void append_key(std::string& text, int field, WireType type) {
  append_varint(text, static_cast<uint64_t>(field) << 3 | type);
}

void append_message(std::string& text, int field, std::string_view message) {
  append_key(text, field, kLength);
  append_varint(text, message.size());
  text.append(message);
}

// CRC32C, rotated and shifted, as the format wants it.
uint32_t masked_crc(std::string_view bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  const uint32_t sum = crc.checksum();
  return (sum >> 15 | sum << 17) + 0xA282EAD8U;
}

std::string frame(const std::string& message) {
  std::string length;
  append_bytes(length, static_cast<uint64_t>(message.size()));
  std::string text = length;
  append_bytes(text, masked_crc(length));
  text += message;
  append_bytes(text, masked_crc(message));
  return text;
}

std::string event(double wall_time, int64_t step, int field, const std::string& content) {
  std::string message;
  append_key(message, kWallTime, kFixed64);
  append_bytes(message, wall_time);
  append_key(message, kStep, kVarint);
  append_varint(message, static_cast<uint64_t>(step));
  append_message(message, field, content);
  return frame(message);
}

std::string first_events(double wall_time) {
  std::string status;
  append_key(status, kStatus, kVarint);
  append_varint(status, kSessionStart);
  return event(wall_time, 0, kFileVersion, "brain.Event:2") + event(wall_time, 0, kSessionLog, status);
}

// NaN where the line says null: a number that was not finite. None: the line has no such number.
std::optional<double> number_in(const nlohmann::json& object, const std::string& key) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nullopt;
  if (found->is_null()) return std::nan("");
  return found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

void append_value(std::string& summary, const std::string& tag, double number) {
  std::string value;
  append_message(value, kTag, tag);
  append_key(value, kSimpleValue, kFixed32);
  append_bytes(value, static_cast<float>(number));
  append_message(summary, kValue, value);
}

std::string summary_of_step(const nlohmann::json& line) {
  std::string summary;
  for (const char* key : {"loss", "learning_rate", "grad_norm"})
    if (const auto number = number_in(line, key)) append_value(summary, key, *number);
  // A step without two labels of a pair has no spread: that is no event.
  if (const auto spread = number_in(line, "spread"); spread && !std::isnan(*spread))
    append_value(summary, "spread", *spread);
  const auto tokens = number_in(line, "tokens"), seconds = number_in(line, "seconds");
  if (tokens && seconds && *seconds > 0) append_value(summary, "tokens_per_second", *tokens / *seconds);
  return summary;
}

std::string summary_of_evaluation(const nlohmann::json& line) {
  std::string summary;
  const nlohmann::json pair = line.value("pair", nlohmann::json());
  if (!pair.is_string()) return summary;
  for (const auto& [key, infix] : {std::pair("metrics", "/"), std::pair("novel", "/novel/")}) {
    const auto found = line.find(key);
    if (found == line.end() || !found->is_object()) continue;
    for (const auto& [name, value] : found->items())
      if (const auto number = number_in(*found, name))
        append_value(summary, pair.get<std::string>() + infix + name, *number);
  }
  return summary;
}

double last_change(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return wall_time_now();
  return static_cast<double>(status.st_mtim.tv_sec) + 1e-9 * static_cast<double>(status.st_mtim.tv_nsec);
}

// The events of all lines of metrics.jsonl.
std::string history(const std::string& metrics) {
  if (kind_of(metrics) == PathKind::kNothing) return first_events(wall_time_now());
  const double end = last_change(metrics);
  const MappedFile file(metrics);
  const auto each_line = [&](const auto& take) {
    for (std::string_view rest = file.view(); !rest.empty();) {
      const size_t length = std::min(rest.find('\n'), rest.size());
      const nlohmann::json line = parse_json_or_discard(rest.substr(0, length));
      if (line.is_object()) take(line);
      rest.remove_prefix(std::min(length + 1, rest.size()));
    }
  };
  double all_seconds = 0;
  each_line([&](const nlohmann::json& line) { all_seconds += number_in(line, "seconds").value_or(0); });
  double time = end - all_seconds;
  std::string events = first_events(time);
  each_line([&](const nlohmann::json& line) {
    time += number_in(line, "seconds").value_or(0);
    events += TensorboardFile::event_of(line, time);
  });
  return events;
}

void remove_other_files(const std::string& folder, const std::string& kept) {
  for (const std::string& name : names_in(folder)) {
    if (!name.starts_with(kNameBegin) || name == kept) continue;
    if (::unlink((folder + "/" + name).c_str()) != 0)
      throw SystemError(folder + "/" + name + ": cannot be removed: " + errno_text() +
                        "; TensorBoard would show its steps twice");
  }
}

}  // namespace

double wall_time_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string TensorboardFile::event_of(const nlohmann::json& line, double wall_time) {
  if (!line.is_object()) return "";
  const nlohmann::json kind = line.value("event", nlohmann::json());
  const nlohmann::json step = line.value("step", nlohmann::json());
  if (!step.is_number_integer()) return "";
  const std::string summary = kind == "step"         ? summary_of_step(line)
                              : kind == "evaluation" ? summary_of_evaluation(line)
                                                     : "";
  return summary.empty() ? "" : event(wall_time, step.get<int64_t>(), kSummary, summary);
}

TensorboardFile::TensorboardFile(const RunDir& run) {
  const std::string folder = run.tensorboard();
  make_folders(folder);
  const std::string name =
      fmt::format("{}{:010}.{}.{}.0", kNameBegin, static_cast<int64_t>(wall_time_now()), host_name(), ::getpid());
  const std::string path = folder + "/" + name;
  write_file_atomically(path, history(run.metrics()));
  remove_other_files(folder, name);
  file_ = std::make_unique<LineFile>(path);
}

}  // namespace hyperx::train
