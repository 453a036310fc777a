#include <unistd.h>

#include <cerrno>
#include <cmath>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/manifest_text.h"

namespace hyperx::train {

namespace {

constexpr char kOwnDigestKey[] = "\"manifest_xxh128\": \"";
constexpr size_t kDigits = 32;

UserError damaged(const std::string& path, const std::string& cause) {
  return UserError(ExitCode::kBadData,
                   path + ": damaged: " + cause + ". Use another checkpoint of the run, or a copy of it.");
}

// Called before any other part of a manifest is read. Text that is not JSON, or has no version, is left to the later
// checks.
void check_format(const std::string& text, const std::string& path) {
  const nlohmann::json object = nlohmann::json::parse(text, nullptr, false);
  if (!object.is_object() || !object.contains("format_version")) return;
  const nlohmann::json& format = object["format_version"];
  if (format == kCheckpointFormat) return;
  throw OtherFormat(ExitCode::kBadData, path + ": format version " + format.dump() + ", this program reads " +
                                            std::to_string(kCheckpointFormat) + ": use the hyperx that wrote it (" +
                                            object.value("program", "unknown") + ")");
}

}  // namespace

std::string checkpoint_name(int64_t step) {
  const std::string digits = std::to_string(step);
  return "step-" + std::string(digits.size() < 7 ? 7 - digits.size() : 0, '0') + digits;
}

std::optional<int64_t> step_of_name(const std::string& name) {
  if (name.rfind("step-", 0) != 0 || name.size() < 6 || name.size() > 5 + 18) return std::nullopt;
  if (name.find_first_not_of("0123456789", 5) != std::string::npos) return std::nullopt;
  const int64_t step = std::stoll(name.substr(5));
  return checkpoint_name(step) == name ? std::optional(step) : std::nullopt;
}

std::string manifest_text(nlohmann::json object) {
  // The digest covers every byte of the file, with its own digits as zeros: even a space that JSON would ignore.
  object["manifest_xxh128"] = std::string(kDigits, '0');
  std::string text = object.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const size_t at = text.find(kOwnDigestKey) + sizeof kOwnDigestKey - 1;
  text.replace(at, kDigits, xxh128_hex(text));
  return text;
}

Manifest parse_manifest(std::string text, const std::string& path) {
  const size_t at = text.find(kOwnDigestKey);
  const size_t digits = at + sizeof kOwnDigestKey - 1;
  if (at == std::string::npos) check_format(text, path);  // another version may compute its digest in another way
  if (at == std::string::npos || text.size() < digits + kDigits) throw damaged(path, "it has no digest of itself");
  const std::string stored = text.substr(digits, kDigits);
  std::string zeroed = text;
  zeroed.replace(digits, kDigits, std::string(kDigits, '0'));
  if (xxh128_hex(zeroed) != stored) throw damaged(path, "its text does not have the digest that it names");
  Manifest manifest;
  try {
    check_format(text, path);
    manifest.all = nlohmann::json::parse(text);
    manifest.step = manifest.all.at("step").get<int64_t>();
    if (manifest.all.contains("score")) manifest.score = manifest.all["score"].get<double>();
    manifest.score_of = manifest.all.value("score_of", "");
    for (const auto& [name, entry] : manifest.all.at("files").items())
      manifest.files[name] = {entry.at("bytes").get<int64_t>(), entry.at("xxh128").get<std::string>()};
  } catch (const nlohmann::json::exception& error) {
    throw damaged(path, error.what());
  }
  if (manifest.files.count(kModelFile) == 0) throw damaged(path, "it lists no model.h5");
  return manifest;
}

nlohmann::json files_object(const std::map<std::string, FileEntry>& files) {
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [name, entry] : files) object[name] = {{"bytes", entry.bytes}, {"xxh128", entry.xxh128}};
  return object;
}

Manifest read_manifest(const std::string& folder) {
  const std::string path = folder + "/" + kManifestFile;
  return parse_manifest(read_file(path), path);
}

void drop_optimizer(const std::string& folder) {
  Manifest manifest = read_manifest(folder);
  if (manifest.has_optimizer()) {
    manifest.files.erase(kOptimizerFile);
    manifest.all["files"] = files_object(manifest.files);
    manifest.all["optimizer"] = "dropped: kept for its score";
    write_file_atomically(folder + "/" + kManifestFile, manifest_text(manifest.all));
  }
  const std::string path = folder + "/" + kOptimizerFile;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw SystemError(path + ": cannot be removed: " + errno_text());
}

}  // namespace hyperx::train
