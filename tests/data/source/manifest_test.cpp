#include "data/source/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/data/tasks/known_task.h"
#include "tests/data/test_data.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx::data {
namespace {

using hyperx::test::TemporaryFolder;
using hyperx::test::user_error;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kHeader = "task\tlanguage\tsplit\tformat\tpath\toptions\n";

class ManifestTest : public ::testing::Test {
 protected:
  ManifestTest() {
    files_.write("data/a.tsv", "a\tO\n");
    files_.write("data/b.tsv", "b\tO\n");
    files_.write("data/t.txt", "text\n");
    files_.write("data/map.tsv", "X\tO\n");
    files_.write("beside.tsv", "Y\tO\n");
  }
  Manifest read(const std::string& text, const std::string& root = "") {
    return read_manifest(files_.write("m.tsv", text), TaskSet::all(), root);
  }
  std::string error_of(const std::string& text) {
    return user_error([&] { read(text); });
  }
  TemporaryFolder files_;
};

TEST_F(ManifestTest, ANulIsRefused) {
  EXPECT_THAT(error_of(kHeader + std::string("ner\ten\ttrain\ttagged\tdata/a.tsv\0b\n", 33)),
              AllOf(StartsWith("65 "), HasSubstr("m.tsv:2: a NUL byte")));
}

TEST_F(ManifestTest, EveryOptionAndSeveralFilesOfOneSplit) {
  const Manifest manifest = read("# a comment\n# root = data\n" + kHeader +
                                 "ner\ten\ttrain\ttagged\ta.tsv\tlabels=map.tsv;word=2;tag=3;comment=#;prefix=strip;"
                                 "scheme=BILOU;strip-diacritics=yes;limit=7;"
                                 "source=here;licence=CC0\n\n# "
                                 "more\nner\ten\ttrain\ttagged\tb.tsv\tlabels=beside.tsv\nmlm\ten\ttrain\ttext\tt."
                                 "txt\nner\tyo@x\tdev\ttagged\ta.tsv\t\n");
  EXPECT_EQ(manifest.root, files_.path("data"));
  ASSERT_EQ(manifest.entries.size(), 4U);
  const ManifestEntry& entry = manifest.entries[0];
  EXPECT_EQ(entry.source.path, files_.path("data/a.tsv"));
  EXPECT_EQ(entry.source.label_map, (LabelMap{{"X", "O"}}));
  EXPECT_EQ(entry.source.word_column, 2);
  EXPECT_EQ(entry.source.tag_column, 3);
  EXPECT_EQ(entry.source.comment, "#");
  EXPECT_TRUE(entry.source.strip_prefix && entry.source.bilou && entry.source.strip_diacritics);
  EXPECT_EQ(entry.source.limit, 7);
  EXPECT_EQ(entry.origin, "here");
  EXPECT_EQ(entry.licence, "CC0");
  EXPECT_EQ(entry.line, 4);
  EXPECT_EQ(manifest.entries[1].source.label_map, (LabelMap{{"Y", "O"}}));  // beside the manifest
  EXPECT_THAT(manifest.pairs(), ElementsAre(Pair{"ner", "en"}, Pair{"mlm", "en"}, Pair{"ner", "yo@x"}));
  EXPECT_THAT(manifest.entries_of({"ner", "en"}, "train"), ElementsAre(&manifest.entries[0], &manifest.entries[1]));
  EXPECT_THAT(manifest.splits_of({"ner", "yo@x"}), ElementsAre("dev"));
}

TEST_F(ManifestTest, DataRootOverridesAndTheDefaultIsTheManifestsFolder) {
  EXPECT_EQ(read("# root = elsewhere\n" + kHeader + "mlm\ten\ttrain\ttext\tt.txt\n", files_.path("data"))
                .entries[0]
                .source.path,
            files_.path("data/t.txt"));
  EXPECT_EQ(read(kHeader + "mlm\ten\ttrain\ttext\tdata/t.txt\n").entries[0].source.path, files_.path("data/t.txt"));
}

TEST_F(ManifestTest, RefusesWithFileLineValueAndWayOut) {
  const std::string place = files_.path("m.tsv") + ":2: ";
  const auto line = [&](const std::string& text) { return error_of(kHeader + text + "\n"); };
  EXPECT_THAT(line("ner\ten\ttrain\ttagged\tdata/a.tsv\tlabel=x"),
              AllOf(StartsWith("65 " + place + "unknown option, value 'label'"), HasSubstr("did you mean labels?")));
  EXPECT_THAT(line("ner\ten\ttrain\ttagged\tdata/a.tsv\tword=0"), StartsWith("65 " + place + "option word, value '0'"));
  EXPECT_THAT(line("ner\ten\ttrain\ttagged\tdata/a.tsv\tlimit=2x"), HasSubstr("value '2x': write a whole number"));
  EXPECT_THAT(line("ner\ten\ttrain\ttagged\tdata/a.tsv\tscheme=BIO"), HasSubstr("write BILOU or IOB2"));
  EXPECT_THAT(line("ner\ten\ttrain\ttagged\tdata/a.tsv\ttag=1;tag=2"), HasSubstr("twice"));
  EXPECT_THAT(line("ner\ten\ttrain\ttagged\tdata/a.tsv\tstrip"), HasSubstr("not an option, value 'strip'"));
  EXPECT_THAT(line("ner\ten\ttrain\ttagged\tdata/a.tsv\tlabels=no.tsv"),
              StartsWith("66 " + files_.path("m.tsv") + ":2: option labels: no file 'no.tsv'"));
  EXPECT_THAT(line("mlm\ten\ttrain\ttext\tdata/t.txt\tword=2"), HasSubstr("no meaning for this line's format"));
  EXPECT_THAT(line("mlm\ten\ttrain\ttext\tdata/none.txt"), StartsWith("66 " + place + "no such file"));
  EXPECT_THAT(line("mlm\ten\ttrain\ttext\t" + std::string(300, 'x')), StartsWith("66 " + place + "no such file"));
  EXPECT_THAT(line("mlm\ten\ttrain\ttext\tdata"), StartsWith("66 " + place + "not a file"));
  EXPECT_THAT(line("mlm\ten\ttrain\tconllu\tdata/a.tsv"),
              HasSubstr("format and task do not go together, value 'conllu'"));
  EXPECT_THAT(line("mlm\ten\ttrain\ttxt\tdata/t.txt"), StartsWith("65 " + place + "unknown format, value 'txt'"));
  EXPECT_THAT(line("mlm\ten\tvalid\ttext\tdata/t.txt"), StartsWith("65 " + place + "unknown split, value 'valid'"));
  EXPECT_THAT(line("tag\ten\ttrain\ttext\tdata/t.txt"), StartsWith("65 " + place + "unknown task, value 'tag'"));
  EXPECT_THAT(line("mlm\te n\ttrain\ttext\tdata/t.txt"), StartsWith("65 " + place + "not a pair"));
  EXPECT_THAT(line("mlm en train text data/t.txt"), StartsWith("65 " + place + "1 columns"));
  EXPECT_THAT(line("mlm\ten\ttrain\ttext\tdata/t.txt\nmlm\ten\ttrain\ttext\tdata/t.txt"),
              HasSubstr("m.tsv:3: the file is named twice"));
  EXPECT_THAT(error_of("mlm\ten\ttrain\ttext\tdata/t.txt\n"), HasSubstr("m.tsv:1: not the header of a manifest"));
  EXPECT_THAT(error_of(kHeader), HasSubstr("names no file"));
  EXPECT_THAT(error_of("# root = gone\n" + kHeader), StartsWith("66 "));
  EXPECT_THAT(user_error([&] { read_manifest(files_.path("absent.tsv"), TaskSet::all()); }), StartsWith("66 "));
}

// The manifest of 17 languages: it names every file of the collection, and every file is read whole.
class SeventeenLanguagesManifest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::collection()) GTEST_SKIP() << test::kNoCollection;
    root_ = *test::collection();
    manifest_ = read_manifest(test::kCollectionManifest, TaskSet::all(), root_);
  }
  std::string root_;
  Manifest manifest_;
};

TEST_F(SeventeenLanguagesManifest, NamesEveryDataFile) {
  std::set<std::string> named;
  for (const ManifestEntry& entry : manifest_.entries) named.insert(std::filesystem::canonical(entry.source.path));
  for (const auto& file : std::filesystem::recursive_directory_iterator(root_)) {
    const std::string name = file.path().filename();
    const bool about = name.starts_with("LICENSE") || name == "SOURCES.md" || name == "README.md" ||
                       name == "label_map.tsv" ||
                       file.path().parent_path().filename() == "bert-base-multilingual-cased";
    if (!file.is_regular_file() || about) continue;
    EXPECT_TRUE(named.contains(std::filesystem::canonical(file.path()))) << file.path();
  }
}

TEST_F(SeventeenLanguagesManifest, EveryFileIsReadWithTheCountsOfItsDescription) {
  int64_t sentences = 0, words = 0, lines = 0;
  std::map<std::string, int64_t> words_of;
  for (const ManifestEntry& entry : manifest_.entries) {
    const auto reader = open_source(entry.source, known_task(entry.pair.task));
    Sentence sentence;
    while (reader->next(sentence)) {
      ++(entry.pair.task == "mlm" ? lines : sentences);
      if (entry.pair.task == "mlm") continue;
      ASSERT_EQ(sentence.labels.size(), sentence.words.size());
      words += static_cast<int64_t>(sentence.words.size());
      words_of[entry.pair.name() + " " + entry.split] += static_cast<int64_t>(sentence.words.size());
    }
  }
  EXPECT_EQ(lines, 195744);  // the table of the collection's README, section 6
  EXPECT_EQ(words_of["pos:en train"], 204577);
  EXPECT_EQ(words_of["pos:ar dev"], 28263);
  EXPECT_EQ(words_of["pos:zh train"], 98337);
  EXPECT_EQ(words_of["pos:br test"], 10006);
  EXPECT_EQ(words_of["pos:yo@masakhapos test"], 17351);
  EXPECT_EQ(words_of["ner:en train"], 160394);
  EXPECT_EQ(words_of["ner:tr train"], 303443);
  EXPECT_EQ(words_of["ner:zh train"], 98616);
  EXPECT_EQ(words_of["ner:kk test"], 129824);
  EXPECT_EQ(words_of["ner:yo@masakhaner2 train"], 175835);
  EXPECT_EQ(words_of["ner:yue dev"], 32);
  EXPECT_GT(words, 0);
  EXPECT_GT(sentences, 0);
}

}  // namespace
}  // namespace hyperx::data
