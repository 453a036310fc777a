#include "trainer/step_graphs.h"

#include <ATen/ATen.h>

#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "common/errors.h"
#include "data/batch/capacity.h"
#ifdef HYPERX_WITH_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#endif

namespace hyperx::train {

void add_gradients(model::Model& model, const model::PackedBatch& batch, const model::DropoutStream& dropout,
                   at::Tensor& figures) {
  const at::Tensor loss = model.loss(batch, dropout, &figures);
  if (loss.defined()) loss.backward();  // undefined: no masked token in this piece
}

#ifdef HYPERX_WITH_CUDA

namespace {

constexpr size_t kMostGraphs = 256;

// After an error: ends the capture, so that the allocator does not act as if one were in progress.
void abandon(at::cuda::CUDAGraph& graph) {
  try {
    graph.capture_end();
  } catch (const c10::Error&) {  // the graph is incomplete; the first error is already propagating
  }
}

}  // namespace

struct StepGraphs::State {
  // Task, place in the step, mini-batches per step (by which the loss is divided) and sizes.
  using Key = std::tuple<std::string, int64_t, int64_t, data::Capacity>;
  struct Captured {
    at::Tensor values;  // buffer that a batch's numbers are copied into
    model::PackedBatch batch;
    at::Tensor figures;  // of the replayed part
    at::cuda::CUDAGraph graph;
  };

  void run(const data::Batch& segment, const model::DropoutStream& dropout, at::Tensor& figures);
  std::unique_ptr<Captured> capture(const model::FlatBatch& flat, const at::Tensor& starts,
                                    const model::DropoutStream& dropout, const at::Tensor& figures);

  model::Model& model;
  std::map<Key, std::unique_ptr<Captured>> graphs{};  // null: used once
  at::cuda::MempoolId_t pool = at::cuda::graph_pool_handle();
  c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool();
};

std::unique_ptr<StepGraphs::State::Captured> StepGraphs::State::capture(const model::FlatBatch& flat,
                                                                        const at::Tensor& starts,
                                                                        const model::DropoutStream& dropout,
                                                                        const at::Tensor& figures) {
  auto captured = std::make_unique<Captured>();
  captured->values =
      at::empty(flat.values.sizes(), at::TensorOptions().dtype(at::kLong).device(model.options().device));
  captured->figures = at::zeros_like(figures);
  c10::cuda::device_synchronize();
  // During a capture no memory that other steps left in the cache can be allocated: a batch of more than half the
  // memory would find none.
  c10::cuda::CUDACachingAllocator::emptyCache();
  const c10::cuda::CUDAStreamGuard guard(stream);
  // Only of this thread: the watchdog's thread continues to query events.
  captured->graph.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
  try {
    captured->batch = model.views_of(flat, captured->values, starts);
    captured->figures.zero_();
    train::add_gradients(model, captured->batch, dropout, captured->figures);
  } catch (...) {
    abandon(captured->graph);
    throw;
  }
  captured->graph.capture_end();
  return captured;
}

void StepGraphs::State::run(const data::Batch& segment, const model::DropoutStream& dropout, at::Tensor& figures) {
  if (segment.tree) {  // its sentences are taken apart on the host
    train::add_gradients(model, model.pack(segment, dropout), dropout, figures);
    return;
  }
  const int64_t place = segment.segments.front().draw;
  const std::string& task = model.step_pairs().at(static_cast<size_t>(place)).task;
  const data::Capacity capacity = data::capacity_of(segment, model.options().tasks.at(task).masked());
  const data::Batch full = data::filled(segment, capacity);
  model::FlatBatch flat = model.flatten(full, dropout);
  flat.longest = capacity.longest;
  const at::Tensor starts = at::tensor(at::ArrayRef<int32_t>(full.sentence_starts), at::kInt);
  const Key key{task, place, std::ssize(model.step_pairs()), capacity};
  auto found = graphs.find(key);
  const bool first = found == graphs.end();
  if (first) {
    if (graphs.size() < kMostGraphs) graphs.emplace(key, nullptr);
    const at::Tensor values = flat.values.to(model.options().device, at::kLong, true);
    train::add_gradients(model, model.views_of(flat, values, starts), dropout, figures);
    return;
  }
  if (!found->second) found->second = capture(flat, starts, dropout, figures);
  Captured& captured = *found->second;
  captured.values.copy_(flat.values, true);
  captured.graph.replay();
  figures += captured.figures;
}

StepGraphs::StepGraphs(model::Model& model) : state_(new State{model}) {
  HYPERX_CHECK(model.options().device.is_cuda(), "CUDA graphs are captured on a GPU");
}

void StepGraphs::add_gradients(const data::Batch& piece, const model::DropoutStream& dropout, at::Tensor& figures) {
  for (const data::Batch& segment : data::split_segments(piece)) state_->run(segment, dropout, figures);
}

int64_t StepGraphs::captured() const {
  int64_t count = 0;
  for (const auto& [key, graph] : state_->graphs) count += graph ? 1 : 0;
  return count;
}

#else

struct StepGraphs::State {};

StepGraphs::StepGraphs(model::Model&) {
  throw UserError(ExitCode::kBadConfig, "train.cuda_graphs = 1: this hyperx was built without CUDA");
}
void StepGraphs::add_gradients(const data::Batch&, const model::DropoutStream&, at::Tensor&) {}
int64_t StepGraphs::captured() const { return 0; }

#endif

StepGraphs::~StepGraphs() = default;

}  // namespace hyperx::train
