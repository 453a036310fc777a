#include <unistd.h>

#include <cerrno>
#include <cmath>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/manifest_text.h"

namespace hyperx::train {

namespace {

constexpr char kOwnDigestKey[] = "\"manifest_xxh128\": \"";

UserError damaged(const std::string& path, const std::string& cause) {
  return UserError(ExitCode::kBadData,
                   path + ": damaged: " + cause + ". Use another checkpoint of the run, or a copy of it.");
}

// Called before any other part of a manifest is read. Text that is not JSON, or has no version, is left to the later
// checks.
void check_format(const std::string& text, const std::string& path) {
  const nlohmann::json object = parse_json_or_discard(text);
  const JsonValue manifest(path, object);
  if (!manifest.has("format_version")) return;
  const nlohmann::json& format = object["format_version"];
  if (format == kCheckpointFormat) return;
  throw OtherFormat(ExitCode::kBadData, path + ": format version " + shown(format) + ", this program reads " +
                                            std::to_string(kCheckpointFormat) + ": use the hyperx that wrote it (" +
                                            manifest.text("program", "unknown") + ")");
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
  object["manifest_xxh128"] = std::string(kXxh128Digits, '0');
  return with_own_digest(object.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n", kOwnDigestKey);
}

Manifest parse_manifest(std::string text, const std::string& path) {
  const std::optional<bool> fits = fits_own_digest(text, kOwnDigestKey);
  if (!fits) check_format(text, path);  // another version may compute its digest in another way
  if (!fits) throw damaged(path, "it has no digest of itself");
  if (!*fits) throw damaged(path, "its text does not have the digest that it names");
  check_format(text, path);
  Manifest manifest;
  manifest.all = parse_json(text, path);
  const JsonValue root(path, manifest.all);
  manifest.step = root["step"].integer(0);
  if (root.has("score")) manifest.score = root["score"].number();
  manifest.score_of = root.text("score_of", "");
  root.text("program", "");  // checked here, for those who show them
  root.integer("world_size", 1);
  root.text("config", "");
  for (const auto& [name, entry] : root["files"].fields()) {
    if (!is_plain_name(name)) entry.fail("is no name of a file in this folder");
    manifest.files[name] = {entry["bytes"].integer(0), entry["xxh128"].text()};
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

void drop_optimizer(const std::string& folder, const std::string& why) {
  Manifest manifest = read_manifest(folder);
  if (manifest.has_optimizer()) {
    manifest.files.erase(kOptimizerFile);
    manifest.all["files"] = files_object(manifest.files);
    manifest.all["optimizer"] = "dropped: " + why;
    write_file_atomically(folder + "/" + kManifestFile, manifest_text(manifest.all));
  }
  const std::string path = folder + "/" + kOptimizerFile;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw SystemError(path + ": cannot be removed: " + errno_text());
}

}  // namespace hyperx::train
