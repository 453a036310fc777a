#pragma once

#include <string>
#include <vector>

#include "trainer/checkpoint/model_checkpoint.h"

namespace hyperx::train {

// Whether a run may go on from `checkpoint` with other settings than it began with.
// UserError (78), naming the key and both values: what the checkpoint's tensors or the run's place in its data depend
// on (model.*, train.pairs, train.batch_sentences, train.seed, the encoder, ...). What changes how it is learnt from
// here on (a rate, train.steps, the precision) is allowed and returned, a line each: "train.learning_rate is 3e-4, was
// 1e-4". What changes nothing that is learnt (threads, eval.*, checkpoint.*, parallel.*) is passed over.
std::vector<std::string> check_same_run(const ModelInfo& saved, const ModelInfo& now, const std::string& checkpoint);

}  // namespace hyperx::train
