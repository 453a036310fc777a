#pragma once

#include <vector>

#include "common/config/config.h"
#include "data/corpus/corpus.h"
#include "data/tokenizer/tokenizer.h"
#include "model/comm/communicator.h"
#include "model/encoder/encoder_weights.h"
#include "trainer/checkpoint/model_checkpoint.h"
#include "trainer/comm/mpi_session.h"

// Steps of train and bench before the model is built.
namespace hyperx {

// Sets the kernels that run on the device from here on; rank 0 warns that ours have never run on a GPU. UserError (78)
// if the requested ones cannot run.
void choose_kernels(const Config& config, at::Device device, int rank);

// One rank reads the index and sends it to all.
data::Corpus open_corpus(const std::string& folder, comm::Communicator& communicator);

// Loads the encoder; one rank of each node computes its digest in the background.
model::EncoderWeights load_encoder_on_node(const Config& config, const comm::MpiSession& session);
// Collective: the digest from the node's rank that computes it.
FutureDigest digest_of_node(const model::EncoderWeights& encoder, const comm::MpiSession& session);

// The corpus must be tokenised with the encoder's vocabulary: the encoder cannot use ids of another one. UserError;
// also if check_positions() throws one.
void check_tokenizer(const data::Corpus& corpus, const Config& config, const model::EncoderSpec& spec);
// The same with the folder's vocabulary, where it is read already.
void check_tokenizer(const data::Corpus& corpus, const Config& config, const model::EncoderSpec& spec,
                     const data::Tokenizer& tokenizer);
// UserError (78): sentences may be longer than the encoder has positions.
void check_positions(int max_subwords, const model::EncoderSpec& spec);

// Describes a new model for the tasks and languages of the pairs.
train::ModelInfo describe_model(const Config& config, const data::Corpus& corpus, const std::vector<data::Pair>& pairs,
                                const model::EncoderWeights& encoder);
// Options of a model in training; sharded generators get this rank's share. Adds the runs that the method needs to
// `info`.
model::ModelOptions model_options(train::ModelInfo& info, at::Device device, comm::Communicator& communicator);
// The options of the model that evaluate and predict were given in place of its own.
train::OptionTexts options_of_line(const CommandLine& line);

}  // namespace hyperx
