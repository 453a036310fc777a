#include "data/batch/batch_maker.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <set>

#include "common/errors.h"
#include "common/files.h"
#include "data/tokenizer/tokenizer.h"
#include "tests/data/batch/batch_fixture.h"
#include "tests/data/test_data.h"
#include "tests/support/errors.h"

namespace hyperx::data {
namespace {

TEST_F(BatchMakerTest, SharesOfOneToFourRanksMakeUpTheWholeBatch) {
  for (int64_t step = 0; step < config_.steps; ++step) {
    const StepPlan plan = mixture_->plan(step);
    std::vector<SentenceView> expected = views_of(whole(plan));
    int64_t sentences = 0;
    for (const Draw& draw : plan.draws) sentences += std::ssize(draw.sentences);
    ASSERT_EQ(std::ssize(expected), sentences);
    for (const ShareMode mode : {ShareMode::kSplit, ShareMode::kWhole}) {
      for (int ranks = 1; ranks <= 4; ++ranks) {
        const auto shares = maker_->share(plan, ranks, mode);
        std::vector<SentenceView> found;
        std::set<std::pair<int, size_t>> owners;  // (draw, rank)
        for (size_t rank = 0; rank < shares.size(); ++rank) {
          const auto views = views_of(maker_->make(plan, shares[rank], maker_->summarize(plan)));
          for (const SentenceView& view : views) owners.insert({view.draw, rank});
          found.insert(found.end(), views.begin(), views.end());
        }
        std::sort(found.begin(), found.end());
        std::sort(expected.begin(), expected.end());
        ASSERT_EQ(found, expected) << "step " << step << ", " << ranks << " ranks";
        EXPECT_TRUE(mode == ShareMode::kSplit || owners.size() == plan.draws.size());
      }
    }
  }
}

TEST_F(BatchMakerTest, SummaryIsThatOfTheWholeBatch) {
  bool masked = false;
  for (int64_t step = 0; step < config_.steps; ++step) {
    const StepPlan plan = mixture_->plan(step);
    const std::vector<DrawSummary> draws = maker_->summarize(plan);
    const Batch batch = whole(plan);
    ASSERT_EQ(batch.segments.size(), draws.size());
    for (const Segment& segment : batch.segments) {
      const DrawSummary& draw = draws[static_cast<size_t>(segment.draw)];
      EXPECT_EQ(draw.pair, segment.pair);
      EXPECT_EQ(draw.tokens, segment.token_end - segment.token_begin);
      EXPECT_EQ(draw.sentences, segment.sentence_end - segment.sentence_begin);
      EXPECT_EQ(draw.label_count, segment.label_end - segment.label_begin);
      EXPECT_EQ(draw.label_count, segment.label_count);
      masked = masked || maker_->masked(segment.pair);
    }
  }
  EXPECT_TRUE(masked) << "no mlm mini-batch was drawn";
}

TEST_F(BatchMakerTest, TokensAreBalanced) {
  for (int64_t step = 0; step < config_.steps; ++step) {
    const StepPlan plan = mixture_->plan(step);
    const auto shares = maker_->share(plan, 4, ShareMode::kSplit);
    std::vector<int64_t> tokens;
    for (const auto& part : shares) tokens.push_back(maker_->make(plan, part, maker_->summarize(plan)).tokens());
    EXPECT_LE(*std::max_element(tokens.begin(), tokens.end()) - *std::min_element(tokens.begin(), tokens.end()),
              kMaxSubwords);
  }
}

TEST_F(BatchMakerTest, MoreRanksThanSentencesLeavesSomeWithNone) {
  StepPlan plan;
  plan.draws.push_back({1, 0, 0, 5, {0, 3}});
  const auto shares = maker_->share(plan, 4, ShareMode::kSplit);
  EXPECT_EQ(std::count_if(shares.begin(), shares.end(), [](const auto& part) { return part.empty(); }), 2);
  const auto empty = std::find_if(shares.begin(), shares.end(), [](const auto& part) { return part.empty(); });
  const Batch batch = maker_->make(plan, *empty, maker_->summarize(plan));
  EXPECT_EQ(batch.tokens(), 0);
  EXPECT_TRUE(batch.segments.empty());
  EXPECT_TRUE(maker_->pieces(plan, *empty, 0).empty());
}

TEST_F(BatchMakerTest, SentencesAreTruncatedAndLabelsStandOnFirstSubwords) {
  const Split& split = maker_->split(0);
  bool cut = false;
  for (int64_t s = 0; s < split.sentences(); ++s) {
    const Batch batch = maker_->make_evaluation(0, {s});
    const auto tokens = split.tokens_of(s);
    const int64_t kept = std::min<int64_t>(std::ssize(tokens), kMaxSubwords - 2);
    cut = cut || kept < std::ssize(tokens);
    ASSERT_EQ(batch.tokens(), kept + 2);
    EXPECT_EQ(batch.input_ids.front(), 2);
    EXPECT_EQ(batch.input_ids.back(), 3);
    for (int64_t i = 0; i < kept; ++i) {
      EXPECT_EQ(batch.input_ids[static_cast<size_t>(i) + 1], tokens[static_cast<size_t>(i)]);
      EXPECT_EQ(batch.positions[static_cast<size_t>(i) + 1], i + 1);
    }
    size_t label = 0;
    for (size_t w = 0; w < split.labels_of(s).size(); ++w) {
      const int32_t position = split.word_positions_of(s)[w];
      if (position >= kept) continue;
      ASSERT_LT(label, batch.labels.size());
      EXPECT_EQ(batch.label_positions[label], position + 1);
      EXPECT_EQ(batch.labels[label], split.labels_of(s)[w]);
      EXPECT_EQ(batch.label_words[label++], static_cast<int32_t>(w));
    }
    EXPECT_EQ(label, batch.labels.size());
  }
  EXPECT_TRUE(cut);
}

TEST_F(BatchMakerTest, PiecesKeepOrderAndLimit) {
  const StepPlan plan = mixture_->plan(0);
  const auto part = maker_->share(plan, 1, ShareMode::kSplit)[0];
  std::vector<SentencePlace> joined;
  for (const auto& piece : maker_->pieces(plan, part, 60)) {
    EXPECT_LE(maker_->make(plan, piece, maker_->summarize(plan)).tokens(), 60);
    joined.insert(joined.end(), piece.begin(), piece.end());
  }
  EXPECT_EQ(joined, part);
  EXPECT_EQ(maker_->pieces(plan, part, 0).size(), 1U);
  EXPECT_EQ(maker_->pieces(plan, part, 1).size(), part.size());
}

TEST_F(BatchMakerTest, EvaluationStretchesCoverTheSplitOnce) {
  const BatchMaker dev(*corpus_, {{"mlm", "aa"}}, "dev", kMaxSubwords, 1);
  int64_t next = 0;
  for (const auto& stretch : dev.evaluation_stretches(0, 0, 100)) {
    for (const int64_t sentence : stretch) EXPECT_EQ(sentence, next++);
    EXPECT_LE(dev.make_evaluation(0, stretch).tokens(), 100);
  }
  EXPECT_EQ(next, dev.split(0).sentences());
  EXPECT_EQ(dev.evaluation_stretches(0, 7, 1 << 20)[0].size(), 7U);
  // The masks of a sentence do not depend on the batch it is in.
  const auto together = views_of(dev.make_evaluation(0, {0, 1, 2}));
  for (int64_t s = 0; s < 3; ++s) {
    SentenceView alone = views_of(dev.make_evaluation(0, {s}))[0];
    alone.label_count = together[static_cast<size_t>(s)].label_count;
    EXPECT_EQ(alone, together[static_cast<size_t>(s)]);
  }
}

TEST_F(BatchMakerTest, MaskedSentencesOfAPassGetOtherMasksTheNextTime) {
  StepPlan plan;
  plan.draws.push_back({2, 0, 0, 5, {0, 1, 2, 3}});
  ASSERT_TRUE(maker_->masked(2));
  const auto first = whole(plan).input_ids;
  plan.draws[0].mask_key = 6;
  EXPECT_NE(whole(plan).input_ids, first);
}

// A mini-batch in which no token was chosen: no labels, count 0.
TEST_F(BatchMakerTest, AMiniBatchWithoutAMaskHasLabelCountZero) {
  folder_.write("short.txt", "a\nb\n");
  test::write_manifest(folder_, {"mlm aa train text short.txt"});
  PrepareOptions options = test::options_of(folder_);
  options.corpus = folder_.path("short");
  prepare(options);
  const Corpus corpus = Corpus::open(options.corpus);
  const BatchMaker maker(corpus, corpus.pairs(), "train", kMaxSubwords, 1);
  int without = 0, with = 0;
  for (uint64_t key = 0; key < 100; ++key) {
    StepPlan plan;
    plan.draws.push_back({0, 0, 0, key, {0, 1}});
    const auto draws = maker.summarize(plan);
    const Batch batch = maker.make(plan, maker.share(plan, 1, ShareMode::kSplit)[0], draws);
    EXPECT_EQ(draws[0].label_count, std::ssize(batch.labels));
    ++(draws[0].label_count == 0 ? without : with);
  }
  EXPECT_GT(without, 50);  // 0.85² of them
  EXPECT_GT(with, 10);
}

// With an encoder whose tables have more rows than its tokenizer has pieces, as multilingual-e5-small has: the rows
// that only fill the table are never drawn, and <s> and </s> stay where they are.
TEST_F(BatchMakerTest, MasksOfAUnigramVocabularyAreItsOwnPieces) {
  std::filesystem::create_directory(folder_.path("unigram"));
  folder_.write("unigram/tokenizer.json", read_file(test::kReferenceCases + "xlmr_masked_lm/encoder/tokenizer.json"));
  folder_.write("maltese.txt", "Hemm b\u017conn li nibqg\u0127u sodi.\nF'din il-\u0127ajja\n");
  test::write_manifest(folder_, {"mlm mt train text maltese.txt"});
  PrepareOptions options = test::options_of(folder_);
  options.tokenizer = folder_.path("unigram");
  options.corpus = folder_.path("masks");
  prepare(options);
  const Corpus corpus = Corpus::open(options.corpus);
  const auto tokenizer = Tokenizer::load(options.tokenizer);
  const BatchMaker maker(corpus, corpus.pairs(), "train", kMaxSubwords, 1);
  StepPlan plan;
  plan.draws.push_back({0, 0, 0, 0, {0, 1}});
  plan.draws[0].mask_key = 0;
  const auto make = [&] { return maker.make(plan, maker.share(plan, 1, ShareMode::kSplit)[0], maker.summarize(plan)); };
  std::set<int64_t> drawn;
  int masked = 0;
  for (uint64_t key = 0; key < 3000; ++key) {
    plan.draws[0].mask_key = key;
    const Batch batch = make();
    EXPECT_EQ(batch.input_ids.front(), tokenizer->special().begin);
    EXPECT_EQ(batch.input_ids.back(), tokenizer->special().end);
    for (size_t i = 0; i < batch.labels.size(); ++i) {
      const int64_t id = batch.input_ids[static_cast<size_t>(batch.label_positions[i])];
      if (id == tokenizer->special().mask) ++masked;
      if (id != tokenizer->special().mask && id != batch.labels[i]) drawn.insert(id);
    }
  }
  EXPECT_GT(masked, 3000);
  EXPECT_GT(std::ssize(drawn), 200);
  EXPECT_LT(*drawn.rbegin(), tokenizer->size());
  EXPECT_GT(*drawn.rbegin(), tokenizer->size() * 9 / 10);
}

TEST_F(BatchMakerTest, LoaderGivesTheSameBatchesToAnyRank) {
  for (int ranks = 1; ranks <= 3; ++ranks) {
    std::vector<std::unique_ptr<BatchLoader>> loaders;
    for (int rank = 0; rank < ranks; ++rank) {
      BatchLoader::Options options;
      options.share = {rank, ranks, ShareMode::kSplit, rank == 0 ? 0 : 50};
      options.first_step = 5;
      loaders.push_back(std::make_unique<BatchLoader>(*maker_, *mixture_, options));
    }
    for (int64_t step = 5; step < 20; ++step) {
      std::vector<SentenceView> found;
      for (const auto& loader : loaders) {
        const StepBatch made = loader->next(step);
        EXPECT_EQ(made.draws.size(), 3U);
        for (const Batch& piece : made.pieces) {
          const auto views = views_of(piece);
          found.insert(found.end(), views.begin(), views.end());
        }
      }
      std::vector<SentenceView> expected = views_of(whole(mixture_->plan(step)));
      std::sort(found.begin(), found.end());
      std::sort(expected.begin(), expected.end());
      ASSERT_EQ(found, expected);
    }
  }  // loaders with batches still waiting end without hanging
}

// No batch of the run has more tokens than those that are tried out before it.
TEST_F(BatchMakerTest, LargestStepsBoundAllSteps) {
  const auto tokens_of = [&](const StepPlan& plan) {
    int64_t tokens = 0;
    for (const DrawSummary& draw : maker_->summarize(plan)) tokens += draw.tokens;
    return tokens;
  };
  const std::vector<StepPlan> plans = largest_steps(*maker_, config_.pairs_per_step, config_.batch_sentences);
  ASSERT_EQ(plans.size(), 2U);  // pos and mlm
  int64_t largest = 0, most = 0;
  for (const StepPlan& plan : plans) largest = std::max(largest, tokens_of(plan));
  for (int64_t step = 0; step < config_.steps; ++step) most = std::max(most, tokens_of(mixture_->plan(step)));
  EXPECT_GT(most, 0);
  EXPECT_GE(largest, most);
  EXPECT_LE(largest, int64_t{3} * config_.batch_sentences * kMaxSubwords);
  for (const StepPlan& plan : plans) {
    int64_t shared = 0;
    for (int rank = 0; rank < 2; ++rank)
      for (const Batch& piece : make_step(*maker_, plan, {rank, 2, ShareMode::kSplit, 0}).pieces)
        shared += piece.tokens();
    EXPECT_EQ(shared, tokens_of(plan));
  }
}

// Writes `count` bytes over the first array of pos:aa train, its sub-word ids.
void damage(const std::string& folder, int64_t count) {
  const Corpus corpus = Corpus::open(folder);
  const auto offset = static_cast<size_t>(corpus.entry({"pos", "aa"}).find_split("train")->datasets[0].offset);
  std::string bytes = read_file(folder + "/pos.aa.h5");
  for (int64_t i = 0; i < count; ++i) bytes[offset + static_cast<size_t>(i)] ^= 0x70;
  write_file_atomically(folder + "/pos.aa.h5", bytes);
}

void expect_damaged(const std::function<void()>& work) {
  EXPECT_THAT(hyperx::test::message_of(ExitCode::kBadData, work), testing::HasSubstr("pos.aa.h5"));
}

TEST_F(BatchMakerTest, LoaderVerifiesDigestsAndCarriesErrorsOver) {
  damage(folder_.path("corpus"), 1);
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  const BatchMaker maker(corpus, {{"pos", "aa"}}, "train", kMaxSubwords, 1);
  const Mixture mixture({{{"pos", "aa"}, 75}}, config_);
  BatchLoader loader(maker, mixture, {});
  expect_damaged([&] {  // at the last step at the latest
    for (int64_t step = 0; step < mixture.total_steps(); ++step) loader.next(step);
  });
  expect_damaged([&] { loader.next(0); });  // again, rather than waiting for ever
}

// What a checkpoint waits for: no batch before it may be of damaged data.
TEST_F(BatchMakerTest, LoaderWaitsForTheDigestsOfWhatItGave) {
  const auto require_verified = [&] {
    const Corpus corpus = Corpus::open(folder_.path("corpus"));
    const BatchMaker maker(corpus, {{"pos", "aa"}}, "train", kMaxSubwords, 1);
    BatchLoader loader(maker, Mixture({{{"pos", "aa"}, 75}}, config_), {});
    loader.next(0);
    loader.require_verified([] {});
  };
  require_verified();
  damage(folder_.path("corpus"), 1);
  expect_damaged(require_verified);
}

TEST_F(BatchMakerTest, ImpossibleIdsAreNamed) {
  damage(folder_.path("corpus"), 4000);  // far outside the vocabulary
  const Corpus corpus = Corpus::open(folder_.path("corpus"));
  const BatchMaker maker(corpus, {{"pos", "aa"}}, "train", kMaxSubwords, 1);
  expect_damaged([&] { maker.make_evaluation(0, {0}); });
}

TEST_F(BatchMakerTest, RefusesWhatCannotBe) {
  EXPECT_THROW(BatchMaker(*corpus_, {{"pos", "aa"}}, "train", 2, 1), UserError);
  EXPECT_THROW(BatchMaker(*corpus_, {{"pos", "bb"}}, "dev", 24, 1), UserError);
  EXPECT_THROW(BatchMaker(*corpus_, {{"ner", "aa"}}, "train", 24, 1), UserError);
}

TEST(MlmMasks, SharesAreTheOriginals) {
  constexpr int64_t kTokens = 400000;
  const MlmMasks masks(4, 1000);
  std::vector<int64_t> ids(kTokens, 5000);  // outside the vocabulary: a random id is never equal to it
  std::vector<int32_t> chosen;
  masks.apply(ids, 99, chosen);
  EXPECT_EQ(MlmMasks::count(kTokens, 99), std::ssize(chosen));
  std::vector<double> parts(3, 0);  // [MASK], random, kept
  std::vector<double> tenths(10, 0);
  for (const int32_t place : chosen) {
    const int64_t id = ids[static_cast<size_t>(place)];
    if (id == 5000) {
      ++parts[2];
    } else if (id == 4) {
      ++parts[0];
    } else {
      ++parts[1];
      ASSERT_TRUE(id >= 0 && id < 1000);
      ++tenths[static_cast<size_t>(id / 100)];
    }
  }
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 5000), kTokens - std::ssize(chosen) + static_cast<int64_t>(parts[2]));
  const auto n = static_cast<double>(chosen.size());
  EXPECT_NEAR(n / kTokens, 0.15, 4 * std::sqrt(0.15 * 0.85 / kTokens));
  EXPECT_NEAR(parts[0] / n, 0.8, 4 * std::sqrt(0.8 * 0.2 / n));
  EXPECT_NEAR(parts[1] / n, 0.1, 4 * std::sqrt(0.1 * 0.9 / n));
  for (const double count : tenths) EXPECT_NEAR(count, parts[1] / 10, 5 * std::sqrt(parts[1] / 10));
  EXPECT_NE(MlmMasks::sentence_key(1, 2), MlmMasks::sentence_key(2, 1));
}

}  // namespace
}  // namespace hyperx::data
