#include "trainer/optimizer/gradient_exchange.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>

#include <algorithm>

namespace hyperx::train {
namespace {

using model::Message;

constexpr size_t kSmallBytes = size_t{6} << 20;  // larger tensors are not worth a copy into a bucket

// Whether the message is sent in the bucket of small sums, whose values are of `type`.
bool is_small(const Message& message, at::ScalarType type) {
  return message.kind == Message::Kind::kSum && message.output.scalar_type() == type &&
         message.output.nbytes() < kSmallBytes;
}

}  // namespace

data::ShareMode GradientExchange::share_mode() const {
  const auto& blocks = parameters_.blocks();
  const bool whole =
      std::any_of(blocks.begin(), blocks.end(), [](const auto& block) { return block->needs_whole_pairs(); });
  return whole ? data::ShareMode::kWhole : data::ShareMode::kSplit;
}

void GradientExchange::exchange(at::Tensor& figures, const std::vector<int>& owners) {
  const at::NoGradGuard no_gradient;
  const model::StepRanks ranks{communicator_.rank(), communicator_.size(), owners};
  if (communicator_.size() > 1) early_.start_rest();
  int rounds = 0;
  for (const auto& block : parameters_.blocks()) rounds = std::max(rounds, block->rounds());
  for (int round = 0; round < rounds; ++round) {
    std::vector<Message> messages;
    for (const auto& block : parameters_.blocks())
      if (!early_.takes(*block))
        for (Message& message : block->messages(round, ranks)) messages.push_back(std::move(message));
    if (communicator_.size() > 1) send(messages, round == 0 ? &figures : nullptr);
    for (const auto& block : parameters_.blocks()) block->exchanged(round);
  }
  communicator_.finish_sums();
  for (const auto& block : parameters_.blocks()) block->gradient_complete();
}

void GradientExchange::send(const std::vector<Message>& messages, at::Tensor* figures) {
  RECORD_USER_SCOPE("hyperx::exchange");
  const at::ScalarType type = parameters_.all().front()->value.scalar_type();
  std::vector<at::Tensor> small;
  if (figures != nullptr) {
    for (const Message& message : messages)
      if (is_small(message, type)) small.push_back(message.output.view({-1}));
    small.push_back(figures->to(type).view({-1}));
    at::Tensor bucket = at::cat(small);
    communicator_.all_reduce(bucket);
    int64_t offset = 0;
    for (at::Tensor& part : small) {
      part.copy_(bucket.narrow(0, offset, part.numel()));
      offset += part.numel();
    }
    *figures = small.back().to(at::kDouble).view(figures->sizes());
  }
  for (const Message& message : messages) {
    switch (message.kind) {
      case Message::Kind::kSum:
        if (figures == nullptr || !is_small(message, type)) communicator_.all_reduce(message.output);
        break;
      case Message::Kind::kGather:
        communicator_.all_gather_v(message.input, message.output, message.counts);
        break;
      case Message::Kind::kScatterSum:
        communicator_.reduce_scatter(message.input, message.output);
        break;
    }
  }
}

std::string exchange_names(const model::ParameterSet& parameters) {
  std::string names;
  for (const auto& block : parameters.blocks())
    if (block->exchange() != std::string("sum")) names += (names.empty() ? "" : ", ") + std::string(block->exchange());
  return names.empty() ? "sum" : names;
}

}  // namespace hyperx::train
