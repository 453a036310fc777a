#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "data/batch/batch_loader.h"
#include "data/batch/batch_maker.h"
#include "tests/data/corpus/corpus_fixture.h"

namespace hyperx::data {

// A corpus of three pairs of unequal sizes, and a mixture over them.
class BatchMakerTest : public testing::Test {
 protected:
  static constexpr int kMaxSubwords = 24;  // cuts many sentences

  void SetUp() override {
    test::write_letter_vocabulary(folder_);
    folder_.write("a.conllu", test::random_conllu(75, 1));
    folder_.write("b.conllu", test::random_conllu(5, 2));
    folder_.write("c.txt", test::random_text(60, 3));
    test::write_manifest(folder_, {"pos aa train conllu a.conllu", "pos aa dev conllu b.conllu",
                                   "pos bb train conllu b.conllu", "mlm aa train text c.txt", "mlm aa dev text c.txt"});
    prepare(test::options_of(folder_));
    corpus_ = std::make_unique<Corpus>(Corpus::open(folder_.path("corpus")));
    for (const Pair& pair : corpus_->pairs_with("train")) {
      pairs_.push_back({pair, corpus_->split(pair, "train").sentences()});
    }
    config_.batch_sentences = 16;
    config_.pairs_per_step = 3;
    config_.steps = 40;
    mixture_ = std::make_unique<Mixture>(pairs_, config_);
    maker_ = std::make_unique<BatchMaker>(*corpus_, corpus_->pairs_with("train"), "train", kMaxSubwords, config_.seed);
  }

  Batch whole(const StepPlan& plan) const {
    return maker_->make(plan, maker_->share(plan, 1, ShareMode::kSplit)[0], maker_->summarize(plan));
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<Corpus> corpus_;
  std::vector<MixturePair> pairs_;
  TrainConfig config_;
  std::unique_ptr<Mixture> mixture_;
  std::unique_ptr<BatchMaker> maker_;
};

// One sentence of a batch as values that do not depend on where it lies.
struct SentenceView {
  int draw, pair;
  int64_t slot, id;
  std::vector<int64_t> ids, positions, labels, label_rows;
  std::vector<int32_t> words;
  int64_t label_count;
  auto operator<=>(const SentenceView&) const = default;
};

inline std::vector<SentenceView> views_of(const Batch& batch) {
  std::vector<SentenceView> views;
  for (const Segment& segment : batch.segments) {
    EXPECT_EQ(segment.token_begin, batch.sentence_starts[static_cast<size_t>(segment.sentence_begin)]);
    EXPECT_EQ(segment.token_end, batch.sentence_starts[static_cast<size_t>(segment.sentence_end)]);
    int label = segment.label_begin;
    for (int s = segment.sentence_begin; s < segment.sentence_end; ++s) {
      const auto i = static_cast<size_t>(s);
      const int begin = batch.sentence_starts[i], end = batch.sentence_starts[i + 1];
      SentenceView view{
          segment.draw, segment.pair, batch.sentence_slots[i], batch.sentence_ids[i], {}, {}, {}, {}, {}, 0};
      view.ids.assign(batch.input_ids.begin() + begin, batch.input_ids.begin() + end);
      view.positions.assign(batch.positions.begin() + begin, batch.positions.begin() + end);
      for (; label < segment.label_end && batch.label_positions[static_cast<size_t>(label)] < end; ++label) {
        view.labels.push_back(batch.labels[static_cast<size_t>(label)]);
        view.label_rows.push_back(batch.label_positions[static_cast<size_t>(label)] - begin);
        view.words.push_back(batch.label_words[static_cast<size_t>(label)]);
      }
      view.label_count = segment.label_count;
      views.push_back(std::move(view));
    }
    EXPECT_EQ(label, segment.label_end);
  }
  EXPECT_EQ(std::ssize(views), batch.sentences());
  return views;
}

}  // namespace hyperx::data
