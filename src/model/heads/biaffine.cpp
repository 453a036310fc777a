#include "model/heads/biaffine.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <limits>

#include "common/errors.h"
#include "data/batch/batch.h"
#include "data/tasks/dependencies/dep_options.h"
#include "data/tasks/dependencies/dependency_label.h"
#include "data/tasks/dependencies/maximum_tree.h"

namespace hyperx::model {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

at::Tensor with_one(const at::Tensor& x) {
  return at::cat({x, at::ones({x.size(0), 1}, x.options().requires_grad(false))}, 1);
}

at::Tensor indices(const std::vector<int64_t>& values, const at::Tensor& like) {
  return at::tensor(at::ArrayRef<int64_t>(values), at::kLong).to(like.device());
}

// The heads of the best tree of each sentence, [words] int64 on the host, from the scores of head_scores().
at::Tensor best_heads(const at::Tensor& head_scores, const std::vector<int64_t>& lengths) {
  RECORD_FUNCTION("hyperx::trees", std::vector<c10::IValue>());
  const at::Tensor scores = head_scores.to(at::kCPU, at::kDouble).contiguous();
  std::vector<int64_t> begins{0};
  for (const int64_t length : lengths) begins.push_back(begins.back() + length);
  at::Tensor heads = at::empty({begins.back()}, at::kLong);
  auto* const head = heads.data_ptr<int64_t>();
  const double* const score = scores.const_data_ptr<double>();
  const int64_t width = scores.size(1);
  at::parallel_for(0, std::ssize(lengths), 8, [&](int64_t begin, int64_t end) {
    std::vector<double> own;
    for (int64_t s = begin; s < end; ++s) {
      const int64_t length = lengths[static_cast<size_t>(s)], first = begins[static_cast<size_t>(s)];
      own.clear();
      for (int64_t word = first; word < first + length; ++word)
        own.insert(own.end(), score + word * width, score + word * width + length + 1);
      const std::vector<int32_t> tree = data::maximum_tree(own, static_cast<int32_t>(length));
      std::copy(tree.begin(), tree.end(), head + first);
    }
  });
  return heads;
}

}  // namespace

Biaffine::Biaffine(const HeadContext& context)
    : compute_(context.encoder.compute_type()),
      relations_(std::ssize(context.task.labels())),
      root_relation_(-1),
      zero_candidates_(context.config.sections.get<data::DepOptions>().zero_candidates) {
  const auto& labels = context.task.labels();
  const auto root = std::find(labels.begin(), labels.end(), "root");
  if (root != labels.end()) root_relation_ = root - labels.begin();
  const int64_t hidden = context.weights.spec.hidden;
  arcs_ = context.add("arcs.weight", at::zeros({hidden + 1, hidden}, context.options()));
  relation_weights_ =
      context.add("relations.weight", at::zeros({relations_, hidden + 1, hidden + 1}, context.options()));
}

Biaffine::Sentences Biaffine::sentences_of(const HeadInput& input) const {
  HYPERX_CHECK(input.words.defined(), "trees are made of the rows of words");
  const at::Tensor words = input.words.to(at::kCPU);
  const auto* const word = words.const_data_ptr<int64_t>();
  std::vector<int64_t> node_of_row, word_nodes, first_rows, root_nodes, candidates, lengths, sizes;
  int64_t root = -1;
  for (int64_t row = 0; row < words.numel(); ++row) {
    const bool begins_sentence = word[row] < 0;
    HYPERX_CHECK(begins_sentence || row > 0, "rows of a tree begin with those of its root");
    if (begins_sentence || word[row] != word[row - 1]) {
      sizes.push_back(0);
      const int64_t node = std::ssize(sizes) - 1;
      if (begins_sentence) {
        root = node;
        lengths.push_back(0);
      } else {
        word_nodes.push_back(node);
        first_rows.push_back(row);
        root_nodes.push_back(root);
        ++lengths.back();
      }
    }
    ++sizes.back();
    node_of_row.push_back(std::ssize(sizes) - 1);
  }
  for (const int64_t length : lengths) candidates.insert(candidates.end(), static_cast<size_t>(length), length + 1);

  Sentences sentences;
  sentences.node_of_row = indices(node_of_row, input.rows);
  sentences.word_nodes = indices(word_nodes, input.rows);
  sentences.first_rows = indices(first_rows, input.rows);
  sentences.root_nodes = indices(root_nodes, input.rows);
  sentences.candidates = indices(candidates, input.rows);
  sentences.lengths = std::move(lengths);
  const at::Tensor rows = keyed_dropout(input.rows.to(arcs_.scalar_type()), {}, input.dropout);
  const at::Tensor sums = at::zeros({std::ssize(sizes), rows.size(1)}, rows.options().requires_grad(false))
                              .index_add(0, sentences.node_of_row, rows);
  sentences.nodes = sums / indices(sizes, rows).unsqueeze(1);
  return sentences;
}

at::Tensor Biaffine::head_scores(const Sentences& sentences) const {
  const int64_t words = sentences.word_nodes.numel();
  const int64_t most = words == 0 ? 1 : 1 + *std::max_element(sentences.lengths.begin(), sentences.lengths.end());
  const at::Tensor queries = at::mm(with_one(sentences.nodes.index_select(0, sentences.word_nodes)), arcs_);
  // Sentence by sentence: a product of all words with all nodes would be many times as large.
  std::vector<at::Tensor> scores;
  int64_t word = 0, node = 0;
  for (const int64_t length : sentences.lengths) {
    const at::Tensor own = at::mm(queries.narrow(0, word, length), sentences.nodes.narrow(0, node, length + 1).t());
    scores.push_back(at::constant_pad_nd(own, {0, most - length - 1}, kNever));
    word += length;
    node += length + 1;
  }
  return scores.empty() ? queries.new_zeros({0, most}) : at::cat(scores);
}

at::Tensor Biaffine::relation_scores(const Sentences& sentences, const at::Tensor& words,
                                     const at::Tensor& heads) const {
  const at::Tensor nodes = with_one(sentences.nodes);
  const at::Tensor dependents = nodes.index_select(0, sentences.word_nodes.index_select(0, words));
  const at::Tensor head_nodes = nodes.index_select(0, sentences.root_nodes.index_select(0, words) + heads);
  const int64_t width = nodes.size(1);
  // [width, relations * width]: one product for all relations, in the type of the encoder's products.
  const at::Tensor weight = relation_weights_.permute({1, 0, 2}).reshape({width, relations_ * width});
  const at::Tensor queries =
      at::mm(dependents.to(compute_), weight.to(compute_)).to(nodes.scalar_type()).view({-1, relations_, width});
  return at::bmm(queries, head_nodes.unsqueeze(2)).squeeze(2);
}

at::Tensor Biaffine::relation_scores(const HeadInput& input, const at::Tensor& heads) const {
  return relation_scores(sentences_of(input), at::arange(heads.numel(), heads.options()), heads);
}

at::Tensor Biaffine::logits(const HeadInput& input) const { return head_scores(sentences_of(input)); }

at::Tensor Biaffine::loss(const HeadInput& input, const at::Tensor& labels, at::Reduction::Reduction reduction) const {
  HYPERX_CHECK(reduction == at::Reduction::Sum, "the losses of a tree are summed");
  const Sentences sentences = sentences_of(input);
  const at::Tensor packed = labels.index_select(0, sentences.first_rows);
  const at::Tensor labelled = at::nonzero(packed != data::kNoLabel).view({-1});
  const at::Tensor own = packed.index_select(0, labelled);
  const at::Tensor heads = at::floor_divide(own, relations_), relations = at::remainder(own, relations_);
  at::Tensor scores = head_scores(sentences).index_select(0, labelled);
  if (zero_candidates_ > 0) {
    // k rows that score 0 count as one that scores log k.
    const at::Tensor zeros =
        (zero_candidates_ + 1 - sentences.candidates.index_select(0, labelled)).clamp_min(0).to(scores.scalar_type());
    scores = at::cat({scores, zeros.log().unsqueeze(1)}, 1);
  }
  return at::cross_entropy_loss(scores, heads, {}, at::Reduction::Sum) +
         at::cross_entropy_loss(relation_scores(sentences, labelled, heads), relations, {}, at::Reduction::Sum);
}

at::Tensor Biaffine::predict(const HeadInput& input) const {
  const Sentences sentences = sentences_of(input);
  const at::Tensor heads = best_heads(head_scores(sentences), sentences.lengths).to(input.rows.device());
  at::Tensor relation_score = relation_scores(sentences, at::arange(heads.numel(), heads.options()), heads);
  if (root_relation_ >= 0) {
    const at::Tensor is_root = (heads == 0).unsqueeze(1);
    const at::Tensor of_root = at::arange(relations_, heads.options()).unsqueeze(0) == root_relation_;
    relation_score = relation_score.masked_fill(is_root != of_root, kNever);
  }
  const at::Tensor packed = heads * relations_ + relation_score.argmax(1);
  const int64_t nodes = sentences.nodes.size(0);
  return at::zeros({nodes}, heads.options())
      .index_copy(0, sentences.word_nodes, packed)
      .index_select(0, sentences.node_of_row);
}

std::unique_ptr<Head> make_biaffine(const HeadContext& context) { return std::make_unique<Biaffine>(context); }

}  // namespace hyperx::model
