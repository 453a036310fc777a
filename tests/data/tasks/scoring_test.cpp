#include "data/tasks/scoring.h"

#include <gmock/gmock.h>

#include "data/tasks/prediction_file.h"
#include "tests/data/tasks/known_task.h"
#include "tests/data/tasks/score_test_tools.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx::data {
namespace {

using hyperx::test::TemporaryFolder;
using hyperx::test::user_error;

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

struct Scoring : testing::Test {
  TemporaryFolder folder;
  const TaskSet tasks = TaskSet::all();
  SourceSpec gold(const std::string& content) { return tagged("gold", content); }
  SourceSpec predicted(const std::string& content) { return tagged("predicted", content); }
  std::string error_of(const std::string& gold_content, const std::string& predicted_content,
                       const std::string& task = "pos") {
    return user_error(
        [&] { score_files(gold(gold_content), predicted(predicted_content), scorable_task(tasks, task)); });
  }

 private:
  SourceSpec tagged(const std::string& name, const std::string& content) {
    SourceSpec spec;
    spec.path = folder.write(name, content);
    spec.format = SourceFormat::kTagged;
    return spec;
  }
};

TEST_F(Scoring, PosCountsEveryWord) {
  const FileScores scores =
      score_files(gold("a\tNOUN\nb\tVERB\n\nc\tNOUN\nd\tADV\n"),
                  predicted("a\tNOUN\r\nb\tNOUN\r\n\r\n\r\nc\t_\r\nd\tADV\r\n"), known_task("pos"));
  EXPECT_EQ(scores.sentences, 2);
  EXPECT_EQ(scores.words, 4);
  EXPECT_EQ(scores.correct, 2);
  EXPECT_EQ(scores.without_prediction, 1);
  EXPECT_DOUBLE_EQ(scores.accuracy, 0.5);
  ASSERT_EQ(scores.tags.size(), 3U);
  EXPECT_EQ(scores.tags[1].first, "NOUN");
  EXPECT_EQ(scores.tags[1].second, (Score{0.5, 0.5, 0.5, 2}));
  EXPECT_FALSE(scores.entities.has_value());
}

TEST_F(Scoring, NerGivesBothModes) {
  const FileScores scores = score_files(gold("a\tB-PER\nb\tI-PER\nc\tO\n\nd\tB-LOC\n"),
                                        predicted("a\tI-PER\nb\tI-PER\nc\tO\n\nd\tB-LOC\n"), known_task("ner"));
  EXPECT_DOUBLE_EQ(scores.entities->micro.f1, 1.0);
  EXPECT_DOUBLE_EQ(scores.strict_entities->micro.recall, 0.5);
  EXPECT_DOUBLE_EQ(scores.accuracy, 0.75);
}

TEST_F(Scoring, LabelMapAndSchemeApplyToTheTags) {
  SourceSpec raw = gold("a\tU-person\nb\tB-GPE\nc\tL-GPE\nd\tB-DATE\n");
  raw.bilou = true;
  raw.label_map = {{"U-person", "U-PER"}, {"B-GPE", "B-LOC"}, {"L-GPE", "L-LOC"}, {"B-DATE", "O"}};
  const FileScores scores = score_files(raw, predicted("a\tB-PER\nb\tB-LOC\nc\tI-LOC\nd\tO\n"), known_task("ner"));
  EXPECT_DOUBLE_EQ(scores.strict_entities->micro.f1, 1.0);
  EXPECT_DOUBLE_EQ(scores.accuracy, 1.0);
}

TEST_F(Scoring, OtherWordsAreAnErrorThatNamesBothPlaces) {
  const std::string gold_path = folder.path("gold"), predicted_path = folder.path("predicted");
  EXPECT_THAT(error_of("a\tX\n\nb\tX\n", "a\tX\n\n\nB\tX\n"),
              AllOf(StartsWith("65 " + gold_path + ":3 "), HasSubstr("'b'"), HasSubstr(predicted_path + ":4 'B'"),
                    HasSubstr("sentence 2")));
  EXPECT_THAT(error_of("a\tX\nb\tX\n", "a\tX\n"),
              AllOf(HasSubstr("2 words"), HasSubstr(predicted_path + ":1 it has 1")));
  EXPECT_THAT(error_of("a\tX\n\nb\tX\n", "a\tX\n"), AllOf(HasSubstr(predicted_path + " ends after 1 sentences"),
                                                          HasSubstr(gold_path + ":3 goes on with 'b'")));
  EXPECT_THAT(error_of("a\tX\n", "a\tX\n\nb\tX\n"), HasSubstr(gold_path + " ends after 1 sentences"));
}

TEST_F(Scoring, WordsThatLookAlikeAreToldApart) {
  EXPECT_THAT(error_of("caf\u00e9\tX\n", "cafe\u0301\tX\n"),
              AllOf(HasSubstr("character 4 is U+00E9 and U+0065"), HasSubstr("NFC")));
  EXPECT_THAT(error_of("cafe\tX\n", "cafe\u200b\tX\n"), HasSubstr("character 5 is missing and U+200B"));
}

TEST_F(Scoring, TheFormatOfEachFileIsThatOfItsContent) {
  SourceSpec treebank = gold("# text = a\n1\ta\t_\tX\t_\t_\t0\troot\t_\t_\n");
  SourceSpec lines = predicted("a\tX\n");
  treebank.recognise_format = lines.recognise_format = true;
  EXPECT_EQ(score_files(treebank, lines, known_task("pos")).correct, 1);
  EXPECT_THAT(user_error([&] { score_files(lines, treebank, known_task("ner")); }),
              AllOf(StartsWith("64 "), HasSubstr("conllu")));
  treebank.word_column = 2;
  EXPECT_THAT(user_error([&] { score_files(treebank, treebank, known_task("pos")); }),
              AllOf(StartsWith("64 "), HasSubstr("--format tagged")));
}

TEST_F(Scoring, IdsAreNotScoredAsWords) {
  const std::string file = "1\tAna\tB-PER\n2\tsleeps\tO\n";
  EXPECT_THAT(error_of(file, file, "ner"), AllOf(StartsWith("65 "), HasSubstr("numbers, not words")));
}

TEST_F(Scoring, SentencesMissingBeyondAChunkAreAnError) {
  std::string content;
  for (int i = 0; i < 1024; ++i) content += "a\tX\n\n";
  EXPECT_THAT(error_of(content + "b\tX\n", content), HasSubstr("ends after 1024 sentences"));
  EXPECT_THAT(error_of(content, content + "b\tX\n"), HasSubstr("ends after 1024 sentences"));
  EXPECT_EQ(error_of(content, content), "");
}

TEST_F(Scoring, MissingTagsAreErrors) {
  EXPECT_THAT(error_of("a\t_\n", "a\tX\n"), AllOf(HasSubstr("gold:1"), HasSubstr("no gold tag")));
  EXPECT_THAT(error_of("a\tX\n", "a\n"), AllOf(HasSubstr("predicted:1"), HasSubstr("no predicted tag")));
  EXPECT_THAT(error_of("a\n", "a\tX\n"), HasSubstr("no gold tag"));
  EXPECT_THAT(error_of("a\tO\n", "a\tNOUN\n", "ner"), AllOf(HasSubstr("predicted:1"), HasSubstr("'NOUN'")));
  std::string many;
  for (int i = 0; i < 1001; ++i) many += "a\tT" + std::to_string(i) + "\n";
  EXPECT_THAT(error_of(many, many), AllOf(HasSubstr("gold:1001"), HasSubstr("more than 1000 different tags")));
}

TEST_F(Scoring, WhatCannotBeScored) {
  EXPECT_THAT(error_of("a\tX\n", "a\tX\n", "mlm"), AllOf(StartsWith("64 "), HasSubstr("pos and ner")));
  SourceSpec text = gold("a\n");
  text.format = SourceFormat::kText;
  EXPECT_THAT(user_error([&] { score_files(text, text, known_task("pos")); }), StartsWith("64 "));
  text.format = SourceFormat::kConllu;
  EXPECT_THAT(user_error([&] { score_files(text, text, known_task("ner")); }), StartsWith("64 "));
}

TEST_F(Scoring, TheUnderscoreIsATagWhereMultiwordLinesAreWords) {
  const auto line = [](const std::string& id, const std::string& tag) {
    return id + "\tw\t_\t" + tag + "\t_\t_\t_\t_\t_\t_\n";
  };
  SourceSpec file = gold(line("1-2", "_") + line("1", "X") + line("2", "NOUN"));
  file.format = SourceFormat::kConllu;
  EXPECT_EQ(score_files(file, file, known_task("pos")).words, 2);
  const TaskSet keeping = TaskSet::of({"pos"}, with_multiword("keep"));
  const FileScores scores = score_files(file, file, keeping.at("pos"));
  EXPECT_EQ(scores.words, 3);
  EXPECT_EQ(scores.correct, 3);
}

TEST_F(Scoring, TableAndJsonHoldTheSameFigures) {
  const FileScores scores = score_files(gold("a\tB-PER\nb\tI-PER\nc\tO\n\nd\tB-LOC\n"),
                                        predicted("a\tB-PER\nb\tI-PER\nc\tO\n\nd\tO\n"), known_task("ner"));
  const auto json = nlohmann::json::parse(scores_json(scores));
  EXPECT_DOUBLE_EQ(json["default"]["micro"]["recall"], 0.5);
  EXPECT_DOUBLE_EQ(json["strict"]["types"]["PER"]["f1"], 1.0);
  EXPECT_EQ(json["words"], 4);
  const std::string table = scores_table(scores);
  EXPECT_THAT(table, AllOf(HasSubstr("accuracy   75.00 (3 of 4)"), HasSubstr("66.67"), HasSubstr("strict IOB2"),
                           HasSubstr("LOC")));
  const FileScores pos = score_files(gold("a\tX\n"), predicted("a\tX\n"), known_task("pos"));
  EXPECT_DOUBLE_EQ(nlohmann::json::parse(scores_json(pos))["seqeval"]["f1"], pos.seqeval.f1);
  EXPECT_THAT(scores_table(pos), HasSubstr("X            100.00"));
}

}  // namespace
}  // namespace hyperx::data
