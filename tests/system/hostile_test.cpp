// Files of the wrong kind or content in the place of every file that a command reads: a message with the file's name
// and the right code, in a moment, whatever the file is.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/digest.h"
#include "common/files.h"
#include "common/hdf5/hdf5_file.h"
#include "tests/system/workplace.h"
#include "trainer/checkpoint/manifest_text.h"

namespace hyperx::testing_system {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const Options kRun = {{"train.steps", "4"}, {"checkpoint.every", "2"}, {"train.pairs", "pos:en,ner:en"}};

class HostileTest : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    train(0, "run", kRun);
    fs::copy(corpus(), path("corpus"));
    fs::copy(encoder(), path("encoder"));
  }

  Outcome command(const Arguments& line) const {
    const Outcome outcome = run(0, line);
    std::printf("%d %s", outcome.code,
                outcome.errors.substr(outcome.errors.rfind('\n', outcome.errors.size() - 2) + 1).c_str());
    EXPECT_LT(outcome.seconds, 60);
    return outcome;
  }
  void expect_refused(const Arguments& line, int code, const std::string& file) const {
    const Outcome outcome = command(line);
    EXPECT_EQ(outcome.code, code) << outcome.errors;
    EXPECT_THAT(outcome.errors + outcome.output, HasSubstr(file));
    EXPECT_THAT(outcome.errors, Not(HasSubstr("a bug")));
  }
  // `line`, once for each thing that may lie in the place of `file`.
  void expect_only_files_are_read(const Arguments& line, const std::string& file, int code = 66) const {
    ASSERT_TRUE(fs::exists(file)) << file;
    const std::string whole = read_file(file);
    fs::remove(file);
    ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
    expect_refused(line, code, file);
    fs::remove(file);
    fs::create_symlink("/dev/zero", file);
    expect_refused(line, code, file);
    fs::remove(file);
    write_file_atomically(file, whole);
  }
  Arguments estimate() const { return {"estimate", "--model.encoder", "random:" + path("encoder"), "--ranks", "1"}; }
  Arguments train_here(const Options& options = {}) const {
    Options all = kRun;
    all["data.corpus"] = path("corpus");
    all["model.encoder"] = "random:" + path("encoder");
    for (const auto& [key, value] : options) all[key] = value;
    return train_line("other", all);
  }
};

TEST_F(HostileTest, OnlyRegularFilesAreRead) {
  const std::string last = checkpoint("run", 4);
  expect_only_files_are_read({"status", path("run")}, path("run") + "/state.json");
  expect_only_files_are_read({"status", path("run")}, path("run") + "/metrics.jsonl");
  expect_only_files_are_read({"inspect", last}, last + "/manifest.json");
  expect_only_files_are_read({"verify", last}, last + "/manifest.json", 65);
  expect_only_files_are_read({"verify", last}, last + "/model.h5", 65);
  expect_only_files_are_read({"inspect", path("corpus")}, path("corpus") + "/index.json");
  expect_only_files_are_read({"verify", path("corpus")}, path("corpus") + "/pos.en.h5", 65);
  expect_only_files_are_read({"verify", path("corpus")}, path("corpus") + "/summary.tsv", 65);
  expect_only_files_are_read(estimate(), path("encoder") + "/config.json");
  for (const char* file : {"vocab.txt", "tokenizer_config.json"})
    expect_only_files_are_read({"tokenize", "--model.encoder", path("encoder"), sample("mlm.en.test.txt")},
                               path("encoder") + "/" + file);
  write_file_atomically(path("x.conf"), "train.steps = 4\n");
  Arguments line = estimate();
  line.insert(line.end(), {"--config", path("x.conf")});
  expect_only_files_are_read(line, path("x.conf"));
}

TEST_F(HostileTest, NestedJsonIsRefused) {
  const std::string deep = "{\"format_version\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  const std::string last = checkpoint("run", 4);
  for (const auto& [file, line] : std::vector<std::pair<std::string, Arguments>>{
           {last + "/manifest.json", {"inspect", last}},
           {last + "/manifest.json", {"verify", last}},
           {path("run") + "/state.json", {"status", path("run")}},
           {path("corpus") + "/index.json", {"verify", path("corpus")}},
           {path("encoder") + "/config.json", estimate()},
           {path("encoder") + "/tokenizer_config.json", {"tokenize", "--model.encoder", path("encoder")}}}) {
    const std::string whole = read_file(file);
    write_file_atomically(file, deep);
    expect_refused(line, 65, file);
    write_file_atomically(file, whole);
  }
  std::ofstream(path("run") + "/metrics.jsonl", std::ios::app) << deep << "\n";  // a line that is passed over
  EXPECT_EQ(command({"status", path("run")}).code, 0);
  write_file_atomically(path("lines"), deep + "\n");
  expect_refused({"tokenize", "--json", "--model.encoder", path("encoder"), path("lines")}, 65, path("lines"));
}

// Lists that name something twice, in a checkpoint whose digests are right.
TEST_F(HostileTest, AModelThatNamesALanguageTwiceIsRefused) {
  const std::string last = checkpoint("run", 4);
  for (const char* list : {"languages", "pairs"}) {
    const h5::File old = h5::File::open(last + "/model.h5");
    json info = json::parse(old.read_text("info"));
    info[list].push_back(info[list][0]);
    h5::File changed = h5::File::create(path("model.h5"));
    changed.write_text("info", info.dump());
    for (const h5::DatasetInfo& set : old.datasets()) {
      if (!set.name.starts_with("tensors/")) continue;
      std::string bytes(static_cast<size_t>(set.byte_count()), '\0');
      old.read(set.name, set.type, bytes.data());
      changed.write(set.name, set.type, set.shape, bytes.data());
    }
    changed.close();
    const std::string folder = path(std::string("with-") + list);
    fs::copy(last, folder);
    fs::rename(path("model.h5"), folder + "/model.h5");
    json manifest = json::parse(read_file(folder + "/manifest.json"));
    manifest["files"]["model.h5"] = {{"bytes", fs::file_size(folder + "/model.h5")},
                                     {"xxh128", xxh128_of_file(folder + "/model.h5")}};
    write_file_atomically(folder + "/manifest.json", train::manifest_text(manifest));
    expect_refused({"predict", folder, sample("pos.en.test.conllu"), "--task", "pos", "--language", "en", "--output",
                    path("out"), "--model.encoder", "random:" + encoder()},
                   65, "info." + std::string(list) + " names '" + info[list][0].get<std::string>() + "' twice");
  }
}

TEST_F(HostileTest, ADamagedLabelEndsTheTraining) {
  const std::string file = path("corpus") + "/index.json";
  std::string text = read_file(file);
  text.replace(text.find("\"CCONJ\""), 7, "\"CCNNJ\"");
  write_file_atomically(file, text);
  expect_refused({"verify", path("corpus")}, 65, file);
  expect_refused(train_here(), 65, file);
  EXPECT_FALSE(fs::exists(checkpoint("other", 4)));
}

TEST_F(HostileTest, SizesThatNoMemoryHoldsAreRefused) {
  const std::string file = path("encoder") + "/config.json";
  const json whole = json::parse(read_file(file));
  for (const auto& [key, size] : {std::pair{"intermediate_size", int64_t{1} << 62},
                                  {"vocab_size", 1'000'000'000},
                                  {"max_position_embeddings", 1'000'000'000}}) {
    json config = whole;
    config[key] = size;
    write_file_atomically(file, config.dump());
    expect_refused(train_here(), 65, file + ": '" + key + "' is " + std::to_string(size));
    fs::remove_all(path("other"));
  }
  json config = whole;
  config["max_position_embeddings"] = 10'000'000;
  config["hidden_size"] = 100'000;
  write_file_atomically(file, config.dump());
  expect_refused(train_here(), 74, file);
  write_file_atomically(file, whole.dump());
  fs::remove_all(path("other"));
  expect_refused(train_here({{"hyperx.adapter_dim", "65536"}, {"hyperx.projected_dim", "65536"}}), 74,
                 "lower the sizes hyperx.*");
}

// The file is mapped; its pages are gone when the next batch reads them.
TEST_F(HostileTest, ACorpusFileCutShortUnderATrainingIsNamed) {
  const std::string file = path("corpus") + "/pos.en.h5";
  Job job(0, train_here({{"train.pairs", "pos:en"}, {"train.steps", "1000000"}}), path(""));
  ASSERT_TRUE(job.wait_until([&] {
    return fs::exists(path("other") + "/metrics.jsonl") && !read_file(path("other") + "/metrics.jsonl").empty();
  }));
  fs::resize_file(file, 4096);
  const Outcome outcome = job.wait();
  EXPECT_EQ(outcome.code, 74) << outcome.errors;
  EXPECT_THAT(outcome.errors, HasSubstr(file + ": cannot be read any more"));
}

}  // namespace
}  // namespace hyperx::testing_system
