#pragma once

#include <string>
#include <vector>

#include "trainer/checkpoint/model_checkpoint.h"

namespace hyperx::train {

// Whether a run may resume from `checkpoint` with other settings than it began with.
// UserError (78), naming the key and both values: a difference that the checkpoint's tensors or the run's position in
// its data depend on (model.*, train.pairs, train.batch_sentences, train.seed, the encoder, ...). Differences that
// change training from here on (learning rate, train.steps, precision) are allowed and returned, one per line:
// "train.learning_rate is 3e-4, was 1e-4". Differences that do not affect training (threads, eval.*, checkpoint.*,
// parallel.*) are ignored.
std::vector<std::string> check_same_run(const ModelInfo& saved, const ModelInfo& now, const std::string& checkpoint);

}  // namespace hyperx::train
