#pragma once

#include <vector>

#include "common/config/config.h"
#include "data/corpus/corpus.h"
#include "model/comm/communicator.h"
#include "model/encoder/encoder_weights.h"
#include "trainer/checkpoint/model_checkpoint.h"
#include "trainer/comm/mpi_session.h"

// What train and bench do before a model stands.
namespace hyperx {

// Which kernels work on the device from here on; rank 0 says what ours have not been through. UserError (78) where
// those asked for cannot.
void choose_kernels(const Config& config, at::Device device, int rank);

// One rank reads the index and sends it to all.
data::Corpus open_corpus(const std::string& folder, comm::Communicator& communicator);

// The encoder, with a digest that one rank of each node computes, beside what follows.
model::EncoderWeights load_encoder_on_node(const Config& config, const comm::MpiSession& session);
// Collective: the digest that the node's rank computed.
FutureDigest digest_of_node(const model::EncoderWeights& encoder, const comm::MpiSession& session);

// The corpus must have been tokenised with the encoder's vocabulary: ids of another mean nothing to it. UserError; also
// where check_positions() has one.
void check_tokenizer(const data::Corpus& corpus, const Config& config, const model::EncoderSpec& spec);
// UserError (78): sentences may be longer than the encoder has positions.
void check_positions(int max_subwords, const model::EncoderSpec& spec);

// A fresh model of the pairs' tasks and languages.
train::ModelInfo describe_model(const Config& config, const data::Corpus& corpus, const std::vector<data::Pair>& pairs,
                                const model::EncoderWeights& encoder);
// Of a model that is trained: with this rank's share of the generators where they are sharded.
model::ModelOptions model_options(const train::ModelInfo& info, at::Device device, comm::Communicator& communicator);

}  // namespace hyperx
