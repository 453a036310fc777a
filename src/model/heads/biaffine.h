#pragma once

#include <vector>

#include "model/heads/head.h"

namespace hyperx::model {

// Dependency trees by a biaffine classifier (Dozat and Manning 2017; docs/method.md section 2). A word's vector x is
// the mean of its sub-words', that of the root is [CLS]'s; x' = [x; 1]:
//
//   score of head j for word i        x'_i W x_j        W [hidden + 1, hidden]
//   score of relation r to head j     x'_i V_r x'_j     V [relations, hidden + 1, hidden + 1]
//
// Labels are data::DependencyLabels, whose heads count the words of the sentence that have rows; 0 is the root.
class Biaffine : public Head {
 public:
  explicit Biaffine(const HeadContext& context);

  // Scores of the heads, [words, 1 + words of the longest sentence]; -inf where a sentence has no such word.
  at::Tensor logits(const HeadInput& input) const override;
  // The sum of both cross entropies, relations at the gold head. Only Reduction::Sum.
  at::Tensor loss(const HeadInput& input, const at::Tensor& labels, at::Reduction::Reduction reduction) const override;
  // For every row the label of its word in the best tree; 0 for the rows that begin a sentence. The relation `root`
  // stands at the root's word and nowhere else.
  at::Tensor predict(const HeadInput& input) const override;

  // Scores of the relations of each word to a head of its sentence, heads [words] int64 (0: the root): [words,
  // relations].
  at::Tensor relation_scores(const HeadInput& input, const at::Tensor& heads) const;

 private:
  // The words of the rows and where they stand.
  struct Sentences {
    at::Tensor nodes;              // [roots and words, hidden] vectors in the order of the rows
    at::Tensor node_of_row;        // [labels] int64
    at::Tensor word_nodes;         // [words] int64: the nodes that are words
    at::Tensor first_rows;         // [words] int64: the first row of each word
    at::Tensor root_nodes;         // [words] int64: the root of the word's sentence; head k is node root + k
    at::Tensor candidates;         // [words] int64: heads that the word may have, 1 + words of its sentence
    std::vector<int64_t> lengths;  // [sentences] words
  };
  Sentences sentences_of(const HeadInput& input) const;
  at::Tensor head_scores(const Sentences& sentences) const;
  at::Tensor relation_scores(const Sentences& sentences, const at::Tensor& words, const at::Tensor& heads) const;

  at::ScalarType compute_;
  int64_t relations_, root_relation_;  // root_relation_: -1 if the labels have none
  int64_t zero_candidates_;            // dep.zero_candidates
  at::Tensor arcs_, relation_weights_;
};

}  // namespace hyperx::model
