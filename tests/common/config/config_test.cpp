#include "common/config/config.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "common/config/schema.h"
#include "common/errors.h"
#include "common/files.h"
#include "data/tasks/tagging/pos_options.h"
#include "model/methods/hyperx/hyperx_options.h"
#include "model/options.h"
#include "tests/support/errors.h"
#include "tests/support/folder.h"

namespace hyperx {
namespace {

using config::Option;
using test::user_error;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using Arguments = std::vector<std::string>;

CommandSpec train_spec() {
  CommandSpec spec;
  spec.name = "train";
  spec.usage = "hyperx train";
  spec.summary = "trains";
  spec.key_prefixes = {"run.",  "data.",       "model.", "train.",  "parallel.",
                       "eval.", "checkpoint.", "device", "kernels", "threads"};
  spec.flags = {{"resume", "auto", "go on"}, {"force", "", "do it again"}};
  return spec;
}

CommandLine parse(const CommandSpec& spec, const Arguments& arguments) {
  return parse_command_line(model::options(), spec, arguments);
}
Config parse_text(const std::string& text, const std::string& source, Removed removed = Removed::kRefuse) {
  return parse_config_text(model::options(), text, source, removed);
}
std::string dump(const Config& config) { return dump_config(model::options(), config); }

class ConfigTest : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) const { return folder_.write(name, text); }

  test::TemporaryFolder folder_;
};

// A value that `option` accepts and that is not its default.
std::string other_value(const Option& option) {
  const std::string standard = option.get(Config{});
  if (option.is_switch()) return standard == "yes" ? "no" : "yes";
  const auto& words = option.check.words;
  if (!words.empty()) return words.size() > 1 && words.front() == standard ? words[1] : words[0];
  if (option.kind == "text") return "a b/c=d:{e,f},!g:* [h]";
  if (option.kind == "integer") return std::to_string(std::stoll(standard) + 3);
  return "0.30000000000000004";  // needs all 17 digits
}

TEST_F(ConfigTest, AWordFlagTakesItsWordAlone) {
  EXPECT_FALSE(parse(train_spec(), {}).word_flag("resume", "auto"));
  const Arguments arguments = {"--resume", "auto", "--train.steps=9000", "object"};
  const CommandLine line = parse(train_spec(), arguments);
  EXPECT_TRUE(line.word_flag("resume", "auto"));
  EXPECT_EQ(line.arguments, arguments);
  const CommandLine other = parse(train_spec(), {"--resume", "no"});
  EXPECT_EQ(user_error([&] { other.word_flag("resume", "auto"); }), "64 --resume 'no': auto is all that it can be");
}

TEST_F(ConfigTest, CommandLineGoesBeforeLaterFileBeforeEarlierFileBeforeDefault) {
  const std::string first = file("first.conf", "train.seed = 11\ntrain.steps = 9001\nhyperx.adapter_dim = 33\n");
  const std::string second =
      file("second.conf", "[train]\nsteps = 9002\n\n# of the machine\nbatch_sentences = 8  # small\n");
  const CommandLine line =
      parse(train_spec(), {"--train.batch_sentences", "4", "--config", first, "--config=" + second});
  EXPECT_EQ(line.config.train.batch_sentences, 4);
  EXPECT_EQ(line.config.train.steps, 9002);
  EXPECT_EQ(line.config.train.seed, 11U);
  EXPECT_EQ(line.config.sections.get<model::HyperXOptions>().adapter_dim, 33);
  EXPECT_EQ(line.config.sections.get<model::HyperXOptions>().task_dim, 64);

  std::map<std::string, std::string> origins;
  for (const ConfigOrigin& each : line.origins) origins[each.key] = each.origin;
  EXPECT_EQ(origins.at("train.batch_sentences"), "command line");
  EXPECT_EQ(origins.at("train.steps"), "file " + second + ":2");
  EXPECT_EQ(origins.at("train.seed"), "file " + first + ":1");
  EXPECT_EQ(origins.at("hyperx.task_dim"), "default");
  EXPECT_TRUE(line.given("train.seed"));
  EXPECT_FALSE(line.given("hyperx.task_dim"));
}

TEST_F(ConfigTest, NumbersOfFlagsAreChecked) {
  CommandSpec spec = train_spec();
  spec.flags = {{"repeat", "N", ""}};
  const auto line = [&](const std::string& value) { return parse(spec, {"--repeat", value}); };
  EXPECT_EQ(line("12").count_flag("repeat", 5), 12);
  EXPECT_EQ(line("2.5").number_flag("repeat", 5), 2.5);
  EXPECT_EQ(parse(spec, {}).count_flag("repeat", 5), 5);
  for (const char* const wrong : {"0", "-1", "abc", "", "3x", "nan", "inf"}) {
    EXPECT_THROW(line(wrong).count_flag("repeat", 5), UserError) << wrong;
    EXPECT_THROW(line(wrong).number_flag("repeat", 5), UserError) << wrong;
  }
  for (const char* const wrong : {"2.5", "99999999999999999999"})
    EXPECT_THROW(line(wrong).count_flag("repeat", 5), UserError) << wrong;
}

TEST_F(ConfigTest, AcceptsEveryWayToWriteAValue) {
  const CommandLine line =
      parse(train_spec(), {"runs/a", "--train.clip_norm=0.5", "--train.deterministic", "--data.train_on_test", "no",
                           "--eval.pairs=", "--run.dir", "", "--eval.predictions=true", "--resume", "auto", "--force",
                           "b", "--", "--not-an-option", "-x"});
  EXPECT_EQ(line.command, "train");
  EXPECT_EQ(line.config.train.clip_norm, 0.5);
  EXPECT_TRUE(line.config.train.deterministic);
  EXPECT_FALSE(line.config.data.train_on_test);
  EXPECT_TRUE(line.config.eval.predictions);
  EXPECT_TRUE(line.config.eval.pairs.empty());
  EXPECT_EQ(line.flag("resume"), "auto");
  EXPECT_TRUE(line.has_flag("force"));
  EXPECT_FALSE(line.has_flag("missing"));
  EXPECT_EQ(line.flag("missing", "fallback"), "fallback");
  EXPECT_EQ(line.objects, (Arguments{"runs/a", "b", "--not-an-option", "-x"}));
}

TEST_F(ConfigTest, ASwitchLeavesTheObjectBehindItAlone) {
  const CommandLine line = parse(train_spec(), {"--train.deterministic", "runs/a", "--force", "runs/b"});
  EXPECT_TRUE(line.config.train.deterministic);
  EXPECT_EQ(line.objects, (Arguments{"runs/a", "runs/b"}));
}

TEST_F(ConfigTest, HelpIsGivenWhateverElseIsWrong) {
  EXPECT_TRUE(parse(train_spec(), {"--train.stpes", "5", "--help"}).help);
  EXPECT_TRUE(parse(train_spec(), {"-h"}).help);
}

struct LineError {
  Arguments arguments;
  int code;
  Arguments parts;  // of the message
};

TEST_F(ConfigTest, MistakesOnTheCommandLineAreNamed) {
  const std::vector<LineError> cases = {
      {{"--train.stpes", "5"}, 64, {"unknown option --train.stpes", "did you mean --train.steps?"}},
      {{"--learning-rate", "5"}, 64, {"--learning-rate", "did you mean --train.learning_rate?"}},
      {{"--train.step", "5"}, 64, {"unknown option --train.step;"}},  // a beginning is no abbreviation
      {{"--resum=auto"}, 64, {"did you mean --resume?"}},
      {{"--dump_config"}, 64, {"did you mean --dump-config?"}},
      {{"--qqqqqqqqqq"}, 64, {"unknown option --qqqqqqqqqq", "`hyperx train --help` lists them"}},
      {{"-x"}, 64, {"unknown option -x", "--KEY VALUE"}},
      {{"--train.steps"}, 64, {"--train.steps", "missing", "--KEY VALUE"}},
      {{"--train.steps", "--force"}, 64, {"--train.steps wants a value", "--force"}},
      {{"--run.dir", "--ruin"}, 64, {"--run.dir wants a value", "--ruin"}},
      {{"--force=yes"}, 64, {"--force"}},
      {{"--train.seed", "5", "--train.seed=6"}, 64, {"--train.seed is given twice"}},
      {{"--resume", "auto", "--resume", "auto"}, 64, {"--resume is given twice"}},
      {{"--train.steps", "5x"}, 64, {"--train.steps = '5x'", "an integer, at least 1"}},
      {{"--train.steps", "0"}, 64, {"--train.steps = '0'", "at least 1"}},
      {{"--train.steps", "-5"}, 64, {"--train.steps = '-5'", "at least 1"}},
      {{"--train.steps", "1e5"}, 64, {"'1e5'", "an integer"}},
      {{"--train.steps="}, 64, {"--train.steps = ''", "an integer"}},
      {{"--train.steps", "9223372036854775808"}, 64, {"'9223372036854775808'", "does not fit into 64 bits"}},
      {{"--hyperx.adapter_dim", "4294967297"}, 64, {"'4294967297'", "1 to 65536", "does not fit into 32 bits"}},
      {{"--train.seed", "-1"}, 64, {"--train.seed = '-1'", "without a sign"}},
      {{"--train.learning_rate", "0"}, 64, {"--train.learning_rate = '0'", "above 0"}},
      {{"--train.learning_rate", "nan"}, 64, {"'nan'", "a number"}},
      {{"--train.clip_norm", "inf"}, 64, {"'inf'", "a number, at least 0"}},
      {{"--train.clip_norm", "-1"}, 64, {"'-1'", "a number, at least 0"}},
      {{"--train.learning_rate", "1e999"}, 64, {"'1e999'", "does not fit"}},
      {{"--model.dropout", "1"}, 64, {"'1'", "0 to below 1"}},
      {{"--data.overlap", "dorp"}, 64, {"--data.overlap = 'dorp'", "one of report | drop | refuse"}},
      {{"--train.deterministic=maybe"}, 64, {"'maybe'", "yes or no"}},
      {{"--run.dir", "runs/a#1"}, 64, {"'runs/a#1'", "without #"}},
      {{"--run.dir", "runs\na"}, 64, {"control characters"}},
      {{"--run.dir", "runs "}, 64, {"blanks around"}},
  };
  for (const LineError& each : cases) {
    const std::string message = user_error([&] { parse(train_spec(), each.arguments); });
    EXPECT_THAT(message, StartsWith(std::to_string(each.code) + " ")) << each.arguments.front();
    for (const std::string& part : each.parts) EXPECT_THAT(message, HasSubstr(part)) << each.arguments.front();
  }
}

TEST_F(ConfigTest, MistakesInAFileAreNamedWithFileAndLine) {
  struct Case {
    std::string text;
    int line;
    Arguments parts;
  };
  const std::vector<Case> cases = {
      {"train.steps = 5000\ntrain.seeed = 3\n", 2, {"unknown key train.seeed; did you mean train.seed?"}},
      {"[train]\nsteps = 5000\n\n[model]\nadapter_dmi = 5\n",
       5,
       {"model.adapter_dmi", "did you mean hyperx.adapter_dim?"}},
      {"seed = 3\n", 1, {"unknown key seed; did you mean train.seed?"}},
      {"train.seed = 3\n[train]\nseed = 4\n", 3, {"train.seed stands in line 1 already"}},
      {"# a\ntrain.batch_sentences = 0\n", 2, {"train.batch_sentences = '0': expected an integer, 1 to"}},
      {"train.seed\n", 1, {"'train.seed' is none of `key = value`"}},
      {"[train\n", 1, {"is none of `key = value`, `# comment`, `[section]`"}},
      {"\n\nrun.dir = runs/a#1\n", 3, {"a # inside a word"}},
      {"train.deterministic = si\n", 1, {"'si': expected yes or no"}},
  };
  for (const Case& each : cases) {
    const std::string path = file("bad.conf", each.text);
    const std::string message = user_error([&] { parse(train_spec(), {"--config", path}); });
    EXPECT_THAT(message, StartsWith("78 " + path + ":" + std::to_string(each.line) + ": ")) << each.text;
    for (const std::string& part : each.parts) EXPECT_THAT(message, HasSubstr(part));
    EXPECT_EQ(user_error([&] { parse_text(each.text, path); }), message) << "the other way in";
  }
  EXPECT_THAT(user_error([&] {
                parse(train_spec(), {"--config", folder_.path("none.conf")});
              }),
              AllOf(StartsWith("66 "), HasSubstr("none.conf")));
}

TEST_F(ConfigTest, FilesMayComeFromOtherSystems) {
  const std::string path =
      file("crlf.conf", "\xEF\xBB\xBFtrain.seed = 7\r\n\r\n[run]\r\n\tdir = a b\r\n  # no final newline");
  const CommandLine line = parse(train_spec(), {"--config", path});
  EXPECT_EQ(line.config.train.seed, 7U);
  EXPECT_EQ(line.config.run.dir, "a b");
}

TEST_F(ConfigTest, KeysOfOtherCommandsAreRefusedOnTheLineAndPassedOverInFiles) {
  CommandSpec spec;
  spec.name = "prepare";
  spec.key_prefixes = {"data.", "threads"};
  EXPECT_EQ(parse(spec, {"--data.max_subwords", "12", "--threads", "3"}).config.threads, 3);
  EXPECT_THAT(user_error([&] {
                parse(spec, {"--train.steps", "5000"});
              }),
              AllOf(StartsWith("64 "), HasSubstr("--train.steps is no key of `hyperx prepare`")));
  const std::string path = file("train.conf", "threads = 2\ntrain.steps = 5000\n");
  EXPECT_EQ(parse(spec, {"--config", path}).config.threads,
            2);  // one file for prepare, train and evaluate
}

TEST_F(ConfigTest, RulesAcrossFields) {
  const std::vector<LineError> cases = {
      {{"--train.steps", "100", "--train.warmup_steps", "4000"},
       78,
       {"train.warmup_steps = 4000 is more than train.steps = 100"}},
      {{"--train.steps", "5000", "--train.epochs", "2"}, 78, {"train.steps = 5000 and train.epochs = 2 both"}},
      {{"--train.final_learning_rate", "1"}, 78, {"train.final_learning_rate = 1 is above"}},
      {{"--train.final_learning_rate", "0", "--train.schedule", "constant"}, 78, {"no effect"}},
      {{"--hyperx.projected_dim", "0", "--hyperx.source_hidden_dim", "64"},
       78,
       {"hyperx.source_hidden_dim has no effect"}},
      {{"--model.method", "best"}, 64, {"--model.method = 'best': expected one of hyperx"}},
      {{"--model.adapter_dim", "8"}, 64, {"--model.adapter_dim is now called --hyperx.adapter_dim"}},
      {{"--eval.pos_metric", "seqeval"}, 64, {"--eval.pos_metric is now called --pos.metric"}},
      {{"--train.length_bucket", "50"}, 64, {"--train.length_bucket was removed"}},
      {{"--parallel.generator", "sharded", "--parallel.exchange", "dense"}, 78, {"keeps no dense gradient"}},
      {{"--train.generator_gradient", "dense"}, 64, {"--train.generator_gradient was removed", "parallel.exchange"}},
      {{"--device", "cpu", "--parallel.backend", "nccl"}, 78, {"'nccl' wants GPUs"}},
      {{"--device", "cpu", "--kernels", "hyperx"}, 78, {"kernels = 'hyperx' are those of a GPU"}},
      {{"--kernels", "hyperx", "--train.precision", "fp64"}, 78, {"take kernels 'libtorch'"}},
  };
  for (const LineError& each : cases) {
    const std::string message = user_error([&] { parse(train_spec(), each.arguments); });
    EXPECT_THAT(message, StartsWith(std::to_string(each.code) + " ")) << each.arguments.front();
    for (const std::string& part : each.parts) EXPECT_THAT(message, HasSubstr(part));
  }
  const std::vector<Arguments> fine = {{"--train.epochs", "2"},
                                       {"--train.steps", "4000"},
                                       {"--hyperx.projected_dim", "0", "--hyperx.adapter_norm_after", "conditional"},
                                       {"--parallel.exchange", "dense"},
                                       {"--device", "cpu", "--parallel.backend", "mpi"}};
  for (const Arguments& each : fine) EXPECT_NO_THROW(parse(train_spec(), each)) << each.front();
}

TEST_F(ConfigTest, EveryOptionHasItsOwnMember) {
  const Config standard;
  for (const Option& option : model::options().options) {
    Config changed;
    option.set(changed, other_value(option));
    for (const Option& each : model::options().options) {
      EXPECT_EQ(each.get(changed) != each.get(standard), each.key == option.key && option.check.words.size() != 1)
          << option.key << " against " << each.key;
    }
  }
}

TEST_F(ConfigTest, EveryValueSurvivesDumpAndParse) {
  Config all_changed;
  for (const Option& option : model::options().options) option.set(all_changed, other_value(option));
  const std::string text = dump(all_changed);
  const Config parsed = parse_text(text, "dump");
  for (const Option& option : model::options().options)
    EXPECT_EQ(option.get(parsed), other_value(option)) << option.key;
  EXPECT_EQ(dump(parsed), text);
  EXPECT_EQ(dump(parse_text("", "nothing")), dump(Config{}));
}

// Settings that a run of version 0.1.0 stored.
TEST_F(ConfigTest, OldNamesInStoredSettings) {
  const Config config = parse_text(
      "model.adapter_dim = 8\ndata.pos_multiword = keep\ntrain.length_bucket = 0\ntrain.generator_gradient = dense\n",
      "config.conf");
  EXPECT_EQ(config.sections.get<model::HyperXOptions>().adapter_dim, 8);
  EXPECT_EQ(config.sections.get<data::PosOptions>().multiword, "keep");
  const std::string buckets = "train.length_bucket = 50\n";
  EXPECT_NO_THROW(parse_text(buckets, "config.conf", Removed::kPassOver));
  EXPECT_THAT(user_error([&] { parse_text(buckets, "config.conf"); }),
              HasSubstr("config.conf:1: train.length_bucket = 50: this version has no such option"));
}

TEST_F(ConfigTest, AFileOfAnotherCommandOrMethodIsNoMistake) {
  const std::string path = file("train.conf", "hyperx.adapter_dim = 7\n");
  CommandSpec scores = train_spec();
  scores.key_prefixes = {"eval.", "model.encoder"};
  EXPECT_EQ(parse(scores, {"--config", path, "--pos.metric", "seqeval"}).config.sections.get<data::PosOptions>().metric,
            "seqeval");
  EXPECT_THAT(user_error([&] { parse(scores, {"--hyperx.adapter_dim", "7"}); }), StartsWith("64 "));
}

TEST_F(ConfigTest, DumpOfACommandLineIsAConfigFileOfThatCommand) {
  CommandSpec spec;
  spec.name = "prepare";
  spec.key_prefixes = {"data.", "threads"};
  const CommandLine line =
      parse(spec, {"--data.overlap", "drop", "--data.root=x y", "--threads", "2", "--dump-config", "--origin"});
  EXPECT_TRUE(line.dump_config);
  EXPECT_TRUE(line.dump_origin);
  const std::string text = dump_config(line);
  EXPECT_THAT(text, HasSubstr("  # command line\n"));
  EXPECT_THAT(text, Not(HasSubstr("train.")));
  const CommandLine again = parse(spec, {"--config", file("dump.conf", text)});
  EXPECT_EQ(dump(again.config), dump(line.config));
  EXPECT_EQ(again.config.data.root, "x y");
}

// It holds train.steps too, at its default: RUN/config.conf of a run that was given epochs.
TEST_F(ConfigTest, WhatStartsARunStartsItAgainFromItsDump) {
  const auto candidates = [](const Option& option) {
    if (option.is_switch()) return Arguments{"yes", "no"};
    if (!option.check.words.empty()) return option.check.words;
    if (option.kind == "text") return Arguments{"", "a/b=c"};
    if (option.kind == "integer") return Arguments{"-1", "0", "1", "3", "1000", "100000"};
    return Arguments{"0", "1e-5", "0.5", "1", "30"};
  };
  int started = 0;
  for (const std::string method : {"hyperx", "madx", "mbert", "psf"})
    for (const Option& option : model::options().options) {
      if (!takes(train_spec(), option)) continue;
      for (const std::string& value : candidates(option)) {
        Arguments arguments = {"--" + option.key + "=" + value};
        if (option.key != "model.method") arguments.push_back("--model.method=" + method);
        std::optional<CommandLine> line;
        if (!user_error([&] { line = parse(train_spec(), arguments); }).empty()) continue;
        ++started;
        const std::string dumped = dump(line->config), path = file("config.conf", dumped);
        EXPECT_EQ(user_error([&] { line = parse(train_spec(), {"--config", path}); }), "") << arguments.front();
        EXPECT_EQ(dump(line->config), dumped) << arguments.front();
      }
    }
  EXPECT_GT(started, 400);
}

TEST_F(ConfigTest, HelpShowsEveryKeyThatTheCommandTakesAndNoOther) {
  CommandSpec spec = train_spec();
  spec.key_prefixes = {"train.", "device"};
  const std::string help = command_help(model::options(), spec);
  for (const Option& option : model::options().options) {
    const bool is_taken = option.key.starts_with("train.") || option.taken_with == "train." || option.key == "device";
    EXPECT_EQ(help.find("  --" + option.key + " ") != std::string::npos, is_taken) << option.key;
  }
  EXPECT_THAT(help, HasSubstr("length of the training [optimizer steps]; at least 1 (default 100000)"));
  EXPECT_THAT(help, HasSubstr("--resume auto"));
}

TEST_F(ConfigTest, NearestWord) {
  const Arguments known = {"train", "evaluate", "train.steps", "model.encoder"};
  EXPECT_EQ(nearest_word("trian", known), "train");
  EXPECT_EQ(nearest_word("evalute", known), "evaluate");
  EXPECT_EQ(nearest_word("steps", known), "train.steps");
  EXPECT_EQ(nearest_word("data.encoder", known), "model.encoder");
  EXPECT_EQ(nearest_word("xyz", known), "");
}

TEST_F(ConfigTest, OptionsPageIsUpToDate) {
  EXPECT_EQ(read_file(std::string(HYPERX_SOURCE_DIR) + "/configs/OPTIONS.md"), options_markdown(model::options()))
      << "make it anew: hyperx options > configs/OPTIONS.md";
}

}  // namespace
}  // namespace hyperx
