#include "app/tensor/model_setup.h"

#include <set>

#include "common/errors.h"
#include "common/log.h"
#include "model/ops/own_kernels.h"
#include "model/options.h"
#include "trainer/comm/rank_zero.h"
#include "trainer/optimizer/gradient_exchange.h"

namespace hyperx {

void choose_kernels(const Config& config, at::Device device, int rank) {
  if (config.kernels != "hyperx") return;
  if (!model::kHasOwnKernels)
    throw UserError(ExitCode::kBadConfig, "kernels = 'hyperx', but this build has no CUDA: take kernels 'libtorch'");
  if (!device.is_cuda())
    throw UserError(ExitCode::kBadConfig,
                    "kernels = 'hyperx' are those of a GPU, and there is none: take kernels 'libtorch'");
  if (rank == 0)
    log::warning(
        "kernels = hyperx: these have been tested on the CPU and have never run on a GPU; compare what they give with "
        "kernels = libtorch");
  model::use_own_kernels(true);
}

data::Corpus open_corpus(const std::string& folder, comm::Communicator& communicator) {
  return data::Corpus::from_index(
      folder, comm::on_rank_zero(communicator, [&] { return data::Corpus::open(folder).index_text(); }));
}

model::EncoderWeights load_encoder_on_node(const Config& config, const comm::MpiSession& session) {
  const bool first_of_node = session.info().local_rank == 0;
  model::EncoderWeights encoder =
      model::load_encoder(config.model.encoder, config.train.seed, config.model.encoder_layers,
                          first_of_node ? std::launch::async : std::launch::deferred);
  if (session.info().rank == 0 && !encoder.untied_decoder.empty())
    log::warning(
        "{}: {} differs from the word embeddings and is not used: masked words are predicted with the word "
        "embeddings",
        encoder.source, encoder.untied_decoder);
  return encoder;
}

FutureDigest digest_of_node(const model::EncoderWeights& encoder, const comm::MpiSession& session) {
  const comm::RankInfo& info = session.info();
  const auto digests = session.gather_texts(info.local_rank == 0 ? encoder.digest.get() : "");
  for (size_t rank = 0; rank < digests.size(); ++rank)
    if (info.hosts[rank] == info.host() && !digests[rank].empty()) return known_digest(digests[rank]);
  return encoder.digest;  // for ranks whose host name matches that of no first rank
}

void check_tokenizer(const data::Corpus& corpus, const Config& config, const model::EncoderSpec& spec) {
  check_tokenizer(corpus, config, spec, *data::Tokenizer::load(model::encoder_folder(config.model.encoder)));
}

void check_tokenizer(const data::Corpus& corpus, const Config& config, const model::EncoderSpec& spec,
                     const data::Tokenizer& tokenizer) {
  if (tokenizer.digest() != corpus.index().tokenizer_digest)
    throw UserError(ExitCode::kBadConfig, config.data.corpus + ": was prepared with another vocabulary than " +
                                              model::encoder_folder(config.model.encoder) +
                                              " has; prepare it again with --model.encoder " + config.model.encoder);
  const std::string& stored = corpus.index().label_position;
  if (config.data.label_position != "auto" && config.data.label_position != stored)
    throw UserError(ExitCode::kBadConfig, config.data.corpus + ": was prepared with data.label_position = " + stored +
                                              ", not " + config.data.label_position + ": prepare it again");
  if (tokenizer.size() > spec.vocabulary)
    throw UserError(ExitCode::kBadData, tokenizer.file() + ": has " + std::to_string(tokenizer.size()) +
                                            " sub-words, but config.json next to it says vocab_size " +
                                            std::to_string(spec.vocabulary) + ": take both files from one encoder");
  check_positions(config.data.max_subwords, spec);
}

void check_positions(int max_subwords, const model::EncoderSpec& spec) {
  const int64_t positions = spec.max_positions - spec.position_offset;
  if (max_subwords > positions)
    throw UserError(ExitCode::kBadConfig, "data.max_subwords = " + std::to_string(max_subwords) +
                                              " is more than the encoder has positions: " + std::to_string(positions));
}

train::ModelInfo describe_model(const Config& config, const data::Corpus& corpus, const std::vector<data::Pair>& pairs,
                                const model::EncoderWeights& encoder) {
  train::ModelInfo info;
  info.config = config;
  std::set<std::string> tasks, languages;
  for (const data::Pair& pair : pairs) {
    tasks.insert(pair.task);
    languages.insert(pair.base_language());
  }
  info.tasks = corpus.tasks().only({tasks.begin(), tasks.end()});
  info.languages.assign(languages.begin(), languages.end());
  info.trained_pairs = pairs;
  info.encoder_source = encoder.source;
  info.encoder_digest = encoder.digest;
  info.tokenizer_digest = corpus.index().tokenizer_digest;
  info.label_position = corpus.index().label_position;
  info.corpus_digest = corpus.digest();
  return info;
}

model::ModelOptions model_options(train::ModelInfo& info, at::Device device, comm::Communicator& communicator) {
  std::vector<model::TrainedRun> needed = train::load_needed_runs(info, &communicator);
  const Config& config = info.config;
  return {config, info.tasks,    info.languages,    train::compute_type(config.train.precision),
          device, &communicator, std::move(needed), info.trained_pairs};
}

train::OptionTexts options_of_line(const CommandLine& line) {
  train::OptionTexts texts;
  for (const config::Option& option : model::options().options)
    if (option.taken_with == "model.encoder" && line.given(option.key) && !option.get(line.config).empty())
      texts[option.key] = option.get(line.config);
  return texts;
}

}  // namespace hyperx
