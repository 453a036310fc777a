// predict: where its output goes, and where it finds the encoder.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "common/files.h"
#include "tests/system/workplace.h"

namespace hyperx::testing_system {
namespace {

namespace fs = std::filesystem;

class PredictTest : public SystemTest {
 protected:
  void SetUp() override {
    SystemTest::SetUp();
    train(0, "run", {{"train.steps", "2"}, {"train.pairs", "pos:mt"}});
  }

  Outcome predict(const std::string& file, const std::string& output) const {
    return run(0, {"predict", path("run"), "--task", "pos", "--language", "mt", file, "--output", output,
                   "--train.precision", "fp32", "--threads", "1"});
  }
};

TEST_F(PredictTest, LongerSentencesThanTheEncoderHasPositions) {
  const Outcome outcome = run(0, {"predict", path("run"), "--task", "pos", "--language", "mt",
                                  sample("pos.mt.test.conllu"), "--data.max_subwords", "60000", "--device", "cpu"});
  EXPECT_EQ(outcome.code, 78) << outcome.errors;
  EXPECT_THAT(outcome.errors, testing::HasSubstr("data.max_subwords = 60000 is more than the encoder has positions"));
}

TEST_F(PredictTest, TheEncoderMayStandElsewhere) {
  const std::string text = sample("pos.mt.test.conllu"), moved = path("moved");
  fs::copy(encoder(), path("first"));
  train(0, "movable", {{"train.steps", "2"}, {"train.pairs", "pos:mt"}, {"model.encoder", "random:" + path("first")}});
  fs::rename(path("first"), moved);
  const Arguments line = {"predict", path("movable"), "--task", "pos",       "--language", "mt",
                          text,      "--device",      "cpu",    "--threads", "1",          "--output"};
  const auto with = [](Arguments arguments, const Arguments& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  EXPECT_EQ(run(0, with(line, {path("none.conllu")})).code, 66) << "the folder that the checkpoint names is gone";
  EXPECT_FALSE(fs::exists(path("none.conllu")));
  const Outcome outcome = run(0, with(line, {path("tagged.conllu"), "--model.encoder", "random:" + moved}));
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  EXPECT_EQ(line_count(read_file(path("tagged.conllu"))), line_count(read_file(text)));
  const Arguments evaluation = {"evaluate", path("movable"),   "--eval.split",
                                "test",     "--model.encoder", "random:" + moved};
  EXPECT_EQ(run(2, evaluation).code, 0);
}

TEST_F(PredictTest, TheOutputMayBeTheInput) {
  const std::string gold = sample("pos.mt.test.conllu"), file = path("own.conllu"), link = path("link.conllu");
  ASSERT_EQ(predict(gold, path("tagged.conllu")).code, 0);
  write_file_atomically(file, read_file(gold));
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink(file, link);
  const Outcome outcome = predict(file, link);
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  EXPECT_EQ(read_file(file), read_file(path("tagged.conllu")));
  EXPECT_TRUE(fs::is_symlink(link)) << "the file behind the link is replaced, not the link";
  EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(PredictTest, AFailedPredictionLeavesTheOutputAsItWas) {
  write_file_atomically(path("old.conllu"), "kept\n");
  make_folders(path("out"));
  write_file_atomically(path("damaged.conllu"), read_file(sample("pos.mt.test.conllu")) + "half a line\n");
  for (const auto& [output, kept] : {std::pair{path("old.conllu"), true}, {path("out/new.conllu"), false}}) {
    const Outcome outcome = predict(path("damaged.conllu"), output);
    EXPECT_EQ(outcome.code, 65) << outcome.errors;
    EXPECT_EQ(fs::exists(output), kept);
  }
  EXPECT_EQ(read_file(path("old.conllu")), "kept\n");
  EXPECT_TRUE(fs::is_empty(path("out")));
  const Outcome nowhere = predict(sample("pos.mt.test.conllu"), path("none/new.conllu"));
  EXPECT_EQ(nowhere.code, 73) << nowhere.errors;
}

TEST_F(PredictTest, ColumnsAndCommentsOfEntityFiles) {
  train(0, "entities", {{"train.steps", "2"}, {"train.pairs", "ner:en"}});
  const auto tag = [&](const std::string& file, const Arguments& more) {
    Arguments line = {"predict", path("entities"),    "--task", "ner",       "--language", "en", file, "--output",
                      path("o"), "--train.precision", "fp32",   "--threads", "1"};
    line.insert(line.end(), more.begin(), more.end());
    return run(0, line);
  };
  const auto line_of = [](const std::string& text, size_t number) {
    std::istringstream lines(text);
    std::string line;
    for (size_t i = 0; i <= number; ++i) std::getline(lines, line);
    return line;
  };
  const std::string iob2 = path("en.iob2"), spaces = path("conll2003.txt"), pairs = path("masakhane.txt");
  write_file_atomically(iob2, "# sent_id = u1\n# text = Ana reva\n1\tAna\tB-PER\t-\t-\n2\treva\tO\t-\t-\n\n");
  write_file_atomically(spaces, "-DOCSTART- -X- -X- O\n\nNordia NNP I-NP I-ORG\ngreets VBZ I-VP O\n");
  write_file_atomically(pairs, "Ana B-PER\nreva O\n");

  const Arguments columns = {"--word", "2", "--tag", "3", "--comment", "#"};
  Outcome outcome = tag(iob2, columns);
  ASSERT_EQ(outcome.code, 0) << outcome.errors;
  std::string written = read_file(path("o"));
  EXPECT_THAT(written, testing::StartsWith("# sent_id = u1\n# text = Ana reva\n1\tAna\t"));
  EXPECT_THAT(line_of(written, 3), testing::AllOf(testing::StartsWith("2\treva\t"), testing::EndsWith("\t-\t-")));
  EXPECT_THAT(outcome.errors, testing::HasSubstr("2 lines begin with '#'"));

  ASSERT_EQ(tag(spaces, {"--word", "1", "--tag", "4"}).code, 0);
  written = read_file(path("o"));
  EXPECT_EQ(line_of(written, 0), "-DOCSTART- -X- -X- O");
  EXPECT_THAT(line_of(written, 2), testing::StartsWith("Nordia NNP I-NP "));
  ASSERT_EQ(tag(pairs, {"--format", "tagged"}).code, 0);
  EXPECT_THAT(line_of(read_file(path("o")), 0), testing::StartsWith("Ana "));

  for (const std::string& file : {iob2, spaces, pairs}) {
    outcome = tag(file, {});
    EXPECT_EQ(outcome.code, 65) << file << outcome.errors;
  }
  EXPECT_EQ(tag(pairs, {"--format", "text"}).code, 65);
  EXPECT_EQ(tag(sample("pos.mt.test.conllu"), columns).code, 64);
  EXPECT_EQ(tag(iob2, {"--format", "iob2"}).code, 64);
}

TEST_F(PredictTest, ConlluOfAnotherNameAndOnStandardInput) {
  const std::string gold = sample("pos.mt.test.conllu");
  ASSERT_EQ(predict(gold, path("tagged.conllu")).code, 0);
  for (const char* name : {"a.conll", "a.txt", "A.CONLLU"}) {
    fs::copy_file(gold, path(name));
    const Outcome outcome = predict(path(name), path("o"));
    ASSERT_EQ(outcome.code, 0) << name << outcome.errors;
    EXPECT_TRUE(read_file(path("o")) == read_file(path("tagged.conllu"))) << name;
  }
}

TEST_F(PredictTest, WhatAKilledPredictionLeftIsRemoved) {
  write_file_atomically(path("a.txt"), "Hello\n");
  const std::string dead = path("o.999999999.tmp"), alive = path("o." + std::to_string(getpid()) + ".tmp");
  for (const std::string& file : {dead, alive, path("o.x.tmp"), path("o2.999999999.tmp")})
    write_file_atomically(file, "");
  ASSERT_EQ(predict(path("a.txt"), path("o")).code, 0);
  EXPECT_FALSE(fs::exists(dead));
  for (const std::string& file : {alive, path("o.x.tmp"), path("o2.999999999.tmp")})
    EXPECT_TRUE(fs::exists(file)) << file;
}

TEST_F(PredictTest, AScriptThatTheVocabularyLacksIsWarnedOf) {
  write_file_atomically(path("a.txt"), "\U00010330\U00010331 \U00010332\n");
  const Outcome outcome = predict(path("a.txt"), path("o"));
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.errors, testing::HasSubstr("2 of 2 sub-words are unknown"));
}

TEST_F(PredictTest, AnOutputThatIsNoFileIsWrittenTo) {
  write_file_atomically(path("lines.txt"), "Hello\n");
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  const int reader = open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK);  // what is written waits in the pipe
  ASSERT_GE(reader, 0);
  const Outcome outcome = predict(path("lines.txt"), path("pipe"));
  EXPECT_EQ(outcome.code, 0) << outcome.errors;
  EXPECT_TRUE(fs::is_fifo(path("pipe")));
  std::string text(64, '\0');
  text.resize(static_cast<size_t>(std::max<ssize_t>(0, read(reader, text.data(), text.size()))));
  close(reader);
  EXPECT_THAT(text, testing::StartsWith("Hello\t"));
}

}  // namespace
}  // namespace hyperx::testing_system
