#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>

#include "app/tensor/model_setup.h"
#include "app/tensor/tensor_commands.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "common/progress.h"
#include "data/batch/tree_rows.h"
#include "data/tasks/dependencies/complete_tree.h"
#include "data/tasks/prediction_file.h"
#include "data/tokenizer/tokenizer.h"
#include "model/comm/local_communicator.h"
#include "model/encoder/encoder_spec.h"
#include "trainer/checkpoint/model_checkpoint.h"
#include "trainer/comm/make_communicator.h"
#include "trainer/comm/mpi_session.h"
#include "trainer/evaluation/evaluation.h"

namespace hyperx {
namespace {

constexpr size_t kChunkSentences = 512;

// Sentences packed for the model.
struct PackedChunk {
  data::Batch batch;
  std::vector<size_t> sentences;  // [labels]
};

// Tags the words of files with one task and language of a model.
class Tagger {
 public:
  Tagger(train::LoadedModel loaded, const data::Pair& pair, int max_subwords, int batch_tokens)
      : loaded_(std::move(loaded)),
        tokenizer_(data::Tokenizer::load(model::encoder_folder(loaded_.info.encoder_source))),
        max_subwords_(max_subwords),
        batch_tokens_(batch_tokens) {
    task_ = loaded_.info.tasks.find(pair.task);
    if (task_ == nullptr || task_->masked())
      throw UserError(ExitCode::kBadConfig, "--task " + pair.task + ": the model has no tagging head of that name");
    if (tokenizer_->digest() != loaded_.info.tokenizer_digest)
      throw UserError(ExitCode::kBadData,
                      loaded_.info.encoder_source + ": its vocabulary is not the one the model was trained with");
    if (loaded_.info.label_position == "after-blank") blank_ = tokenizer_->blank();
    loaded_.model->begin_step({pair}, false);
  }

  std::vector<std::vector<std::string>> tag(const std::vector<std::vector<std::string>>& sentences) {
    std::vector<std::vector<std::string>> tags;
    for (const auto& sentence : sentences) tags.emplace_back(sentence.size(), task_->no_prediction());
    PackedChunk chunk = empty_chunk();
    for (size_t i = 0; i < sentences.size(); ++i) {
      if (sentences[i].empty()) continue;
      append(chunk, i, sentences[i]);
      if (chunk.batch.tokens() >= batch_tokens_) run(chunk, tags);
    }
    if (chunk.batch.tokens() > 0) run(chunk, tags);
    if (task_->is_tree())
      for (auto& sentence : tags) data::complete_tree(*task_, sentence);
    return tags;
  }

  int64_t words = 0, truncated = 0, unlabelled = 0;

 private:
  static PackedChunk empty_chunk() {
    PackedChunk chunk;
    chunk.batch.sentence_starts.push_back(0);
    return chunk;
  }

  void append(PackedChunk& chunk, size_t index, const std::vector<std::string>& sentence) {
    data::Batch& batch = chunk.batch;
    const int64_t first = batch.tokens();
    batch.tree = task_->is_tree();
    if (batch.tree) add_row(chunk, index, -1, first);
    batch.input_ids.push_back(tokenizer_->special().begin);
    std::vector<int32_t> ids;
    for (size_t w = 0; w < sentence.size(); ++w) {
      ++words;
      ids.clear();
      tokenizer_->word(sentence[w], ids);
      const int64_t used = batch.tokens() - first;  // [CLS] and sub-words so far
      const auto place =
          ids.empty() ? 0 : static_cast<int64_t>(data::label_place(ids, *tokenizer_, loaded_.info.label_position));
      if (ids.empty()) {
        ++unlabelled;
      } else if (used + place + 1 >= max_subwords_) {
        ++truncated;
      } else if (!task_->is_tree()) {
        add_row(chunk, index, static_cast<int32_t>(w), batch.tokens() + place);
      }
      for (int64_t i = 0; i < std::ssize(ids); ++i) {
        if (batch.tokens() - first + 1 >= max_subwords_) break;
        if (task_->is_tree() && data::is_row_of_word(i, place, ids[static_cast<size_t>(i)], blank_))
          add_row(chunk, index, static_cast<int32_t>(w), batch.tokens());
        batch.input_ids.push_back(ids[static_cast<size_t>(i)]);
      }
    }
    batch.input_ids.push_back(tokenizer_->special().end);
    for (int64_t position = 0; position < batch.tokens() - first; ++position) batch.positions.push_back(position);
    batch.sentence_starts.push_back(static_cast<int32_t>(batch.tokens()));
    batch.sentence_slots.push_back(static_cast<int64_t>(index));
  }

  static void add_row(PackedChunk& chunk, size_t sentence, int32_t word, int64_t row) {
    chunk.sentences.push_back(sentence);
    chunk.batch.label_positions.push_back(row);
    chunk.batch.labels.push_back(0);
    chunk.batch.label_words.push_back(word);
  }

  void run(PackedChunk& chunk, std::vector<std::vector<std::string>>& tags) {
    data::Segment segment;
    segment.token_end = static_cast<int>(chunk.batch.tokens());
    segment.sentence_end = static_cast<int>(chunk.batch.sentences());
    segment.label_end = static_cast<int>(chunk.sentences.size());
    segment.label_count = segment.label_end;
    chunk.batch.segments = {segment};
    if (!chunk.sentences.empty()) {
      const auto best = train::best_labels(*loaded_.model, chunk.batch);
      for (size_t i = 0; i < best.size(); ++i)
        if (chunk.batch.label_words[i] >= 0)
          tags[chunk.sentences[i]][static_cast<size_t>(chunk.batch.label_words[i])] =
              task_->tag_of(static_cast<data::LabelId>(best[i]));
    }
    chunk = empty_chunk();
  }

  train::LoadedModel loaded_;
  std::unique_ptr<const data::Tokenizer> tokenizer_;
  int32_t blank_ = -1;  // as CorpusIndex::blank_id
  int max_subwords_, batch_tokens_;
  const data::Task* task_ = nullptr;  // of the model
};

// The target of --output. A file is written as FILE.PID.tmp and renamed when it is complete, so that FILE may also be
// an input, and a failure leaves it unchanged. A pipe or a device is written to directly.
class PredictionOutput {
 public:
  explicit PredictionOutput(const std::string& path) : path_(path), written_(path) {
    std::error_code ignored;  // a path that cannot be examined cannot be opened either
    const std::filesystem::file_status status = std::filesystem::status(path, ignored);
    if (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status)) {
      if (std::filesystem::exists(status)) path_ = std::filesystem::canonical(path, ignored).string();  // of a link
      written_ = path_ + "." + std::to_string(::getpid()) + ".tmp";
    }
    stream_.open(written_, std::ios::binary | std::ios::trunc);
    if (!stream_) throw UserError(ExitCode::kCannotCreate, path + ": cannot be created: " + errno_text());
    if (is_beside() && std::filesystem::exists(status))
      std::filesystem::permissions(written_, status.permissions(), ignored);
  }
  ~PredictionOutput() {
    if (is_beside()) ::unlink(written_.c_str());
  }
  PredictionOutput(const PredictionOutput&) = delete;
  PredictionOutput& operator=(const PredictionOutput&) = delete;

  std::ostream& stream() { return stream_; }

  void finish() {
    stream_.close();
    if (!stream_) throw SystemError(path_ + ": cannot be written: " + errno_text());
    if (!is_beside()) return;
    sync_path(written_);
    if (std::rename(written_.c_str(), path_.c_str()) != 0)
      throw SystemError(path_ + ": cannot take the place of the old file: " + errno_text());
    written_ = path_;
  }

 private:
  bool is_beside() const { return written_ != path_; }

  std::string path_, written_;
  std::ofstream stream_;
};

data::SourceFormat format_of(const std::string& asked, const std::string& path) {
  if (asked != "auto") return data::parse_source_format(asked, "--format");
  if (path == "-") return data::SourceFormat::kText;
  if (path.size() > 4 && path.compare(path.size() - 4, 4, ".txt") == 0) return data::SourceFormat::kText;
  return data::guess_source_format(path);
}

void tag_file(const std::string& path, const CommandLine& line, Tagger& tagger, std::ostream& out) {
  data::SourceSpec spec;
  spec.path = path;
  spec.format = format_of(line.flag("format", "auto"), path);
  spec.read_tags = false;
  const data::TaskSet tasks = data::TaskSet::of({line.flag("task")}, line.config.sections);
  const data::Task& task = tasks.at(line.flag("task"));
  data::require_format_for(task, spec.format);
  task.complete(spec);
  data::PredictionInput input(spec, data::parse_word_split(line.flag("words", "auto")));
  Progress progress("tag " + path, 0, "sentences");
  data::TaggingChunk chunk;
  while (input.next(chunk, kChunkSentences)) {
    out << chunk.with_tags(tagger.tag(chunk.words));
    if (!out) throw SystemError("the output cannot be written: " + errno_text());
    progress.advance(static_cast<int64_t>(chunk.words.size()));
  }
}

}  // namespace

int run_predict(const CommandLine& line) {
  if (line.objects.empty())
    throw UserError(ExitCode::kUsage,
                    "name a run or checkpoint: hyperx predict RUN|CHECKPOINT --task T --language L [FILE]...");
  for (const char* flag : {"task", "language"})
    if (!line.has_flag(flag)) throw UserError(ExitCode::kUsage, std::string("--") + flag + " is not given");
  const at::NoGradGuard no_gradient;
  if (line.config.threads > 0) at::set_num_threads(line.config.threads);

  const data::Pair pair{line.flag("task"), line.flag("language")};
  const at::Device device = comm::device_of_process(line.config.device);
  choose_kernels(line.config, device, 0);
  train::set_determinism(line.config.train, device);
  comm::LocalCommunicator alone;
  const std::string precision = train::agreed_precision(line.config.train.precision, "", device, alone);
  train::LoadedModel loaded = train::load_model(train::open_checkpoint(line.objects[0]), line.config.model.encoder,
                                                options_of_line(line), train::compute_type(precision), device);
  const int max_subwords =
      line.given("data.max_subwords") ? line.config.data.max_subwords : loaded.info.config.data.max_subwords;
  check_positions(max_subwords, loaded.model->encoder().spec());
  Tagger tagger(std::move(loaded), pair, max_subwords, line.config.eval.batch_tokens);

  std::vector<std::string> files(line.objects.begin() + 1, line.objects.end());
  if (files.empty()) files.push_back("-");
  std::optional<PredictionOutput> file;
  if (line.has_flag("output")) file.emplace(line.flag("output"));
  std::ostream& out = file ? file->stream() : std::cout;
  for (const std::string& path : files) tag_file(path, line, tagger, out);
  out.flush();
  if (!out) throw SystemError("the output cannot be written: " + errno_text());
  if (file) file->finish();
  if (tagger.truncated + tagger.unlabelled > 0)
    log::warning("{} of {} words got no prediction: {} beyond data.max_subwords = {}, {} without a sub-word",
                 tagger.truncated + tagger.unlabelled, tagger.words, tagger.truncated, max_subwords, tagger.unlabelled);
  return static_cast<int>(ExitCode::kDone);
}

}  // namespace hyperx
