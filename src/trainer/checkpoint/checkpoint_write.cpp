#include <sys/stat.h>

#include <cmath>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/version.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/manifest_text.h"

namespace hyperx::train {

namespace {

constexpr int64_t kWriteBackBytes = 32 << 20;

void write_h5(const std::string& path, const CheckpointContent& content, const std::vector<TensorRef>& tensors,
              const char* text_name, const nlohmann::json& text) {
  h5::File file = h5::File::create(path);
  file.set_attribute("", "format_version", int64_t{kCheckpointFormat});
  file.set_attribute("", "step", content.step);
  file.write_text(text_name, text.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
  int64_t waiting = 0;
  for (const TensorRef& tensor : tensors) {
    file.write("tensors/" + tensor.name, tensor.type, tensor.shape, tensor.data);
    waiting += tensor.byte_count();
    if (waiting < kWriteBackBytes) continue;
    start_write_back(path);  // the kernel by itself would start only at the fsync
    waiting = 0;
  }
  file.close(false);  // synced while it is hashed, see below
}

int64_t file_size(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw SystemError(path + ": " + errno_text());
  return status.st_size;
}

}  // namespace

int64_t TensorRef::byte_count() const { return h5::DatasetInfo{name, type, shape, -1}.byte_count(); }

std::map<std::string, FileEntry> write_checkpoint_files(const std::string& folder, const CheckpointContent& content) {
  const std::string model = folder + "/" + kModelFile, optimizer = folder + "/" + kOptimizerFile;
  // HDF5 writes out of order (headers last), so the digest cannot be computed during the write; it is computed from the
  // page cache while the disk is still writing. The larger file comes first: its digest takes longest and is computed
  // in parallel with everything below.
  write_h5(optimizer, content, content.optimizer, "state", content.train_state);
  std::future<std::string> optimizer_digest = std::async(std::launch::async, xxh128_of_file, optimizer);
  write_h5(model, content, content.model, "info", content.model_info);
  std::future<std::string> model_digest = std::async(std::launch::async, xxh128_of_file, model);
  sync_path(model);
  sync_path(optimizer);
  std::map<std::string, FileEntry> files;
  files[kModelFile] = {file_size(model), model_digest.get()};
  files[kOptimizerFile] = {file_size(optimizer), optimizer_digest.get()};
  return files;
}

void commit_checkpoint(const std::string& folder, const std::string& final_folder, const CheckpointContent& content,
                       const std::map<std::string, FileEntry>& files) {
  nlohmann::json manifest = content.manifest.is_null() ? nlohmann::json::object() : content.manifest;
  manifest["format_version"] = kCheckpointFormat;
  manifest["program"] = "hyperx " + std::string(version());
  manifest["step"] = content.step;
  if (content.score && std::isfinite(*content.score)) {
    manifest["score"] = *content.score;
    manifest["score_of"] = content.score_of;
  }
  manifest["files"] = files_object(files);
  write_file_atomically(folder + "/" + kManifestFile, manifest_text(manifest));
  sync_path(folder);
  replace_folder(folder, final_folder);
}

}  // namespace hyperx::train
