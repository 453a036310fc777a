#include "tests/model/cuda/cuda_on_host.h"

#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

namespace cuda_on_host {
namespace {

constexpr int kLanes = 32;
constexpr size_t kStackBytes = 128 * 1024;
constexpr int64_t kGuardBytes = 256;
constexpr unsigned char kPoison = 0xFF;  // as a float or a double: NaN

// Threads that wait for one another. It opens when all live ones have come.
struct Barrier {
  int live = 0, waiting = 0;
  int64_t generation = 0;
  void open_if_complete() {
    if (waiting == 0 || waiting < live) return;
    waiting = 0;
    ++generation;
  }
};

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack = std::make_unique<char[]>(kStackBytes);
  dim3 index;
  Barrier* barrier = nullptr;  // that it waits at, for more than this generation
  int64_t generation = 0;
  bool done = false;
};

struct Block {
  const char* name = "";
  std::vector<std::unique_ptr<Fiber>> fibers;  // kept between blocks for their stacks
  std::vector<int> order;                      // in which they run
  std::mt19937 random;
  int threads = 0, current = 0;
  Barrier whole;
  std::vector<Barrier> warps;
  std::vector<uint64_t> exchanged;
  std::vector<unsigned char> shared;
  const std::function<void()>* kernel = nullptr;
  ucontext_t scheduler;
};
Block block;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "kernel %s, block (%u, %u, %u): %s\n", block.name, blockIdx.x, blockIdx.y, blockIdx.z, what);
  std::abort();
}

void leave(Barrier& barrier) {
  --barrier.live;
  barrier.open_if_complete();
}

void run_fiber() {
  (*block.kernel)();
  Fiber& self = *block.fibers[static_cast<size_t>(block.current)];
  self.done = true;
  leave(block.whole);
  leave(block.warps[static_cast<size_t>(block.current / kLanes)]);
}

void wait_at(Barrier& barrier) {
  Fiber& self = *block.fibers[static_cast<size_t>(block.current)];
  self.barrier = &barrier;
  self.generation = barrier.generation;
  ++barrier.waiting;
  barrier.open_if_complete();
  while (barrier.generation == self.generation) swapcontext(&self.context, &block.scheduler);
  self.barrier = nullptr;
}

// What one thread writes and another reads must not depend on who comes first: forwards, backwards and shuffled in
// turn.
void order_threads(int number) {
  block.order.resize(static_cast<size_t>(block.threads));
  std::iota(block.order.begin(), block.order.end(), 0);
  if (number % 3 == 1) std::reverse(block.order.begin(), block.order.end());
  if (number % 3 == 2) std::shuffle(block.order.begin(), block.order.end(), block.random);
}

void run_block(int64_t shared_bytes) {
  block.shared.assign(static_cast<size_t>(shared_bytes + kGuardBytes), kPoison);
  block.exchanged.assign(static_cast<size_t>(block.threads), 0);
  block.warps.assign(static_cast<size_t>((block.threads + kLanes - 1) / kLanes), Barrier());
  block.whole = Barrier{block.threads, 0, 0};
  for (int i = 0; i < block.threads; ++i) {
    Fiber& fiber = *block.fibers[static_cast<size_t>(i)];
    ++block.warps[static_cast<size_t>(i / kLanes)].live;
    fiber.done = false;
    fiber.barrier = nullptr;
    const unsigned at = static_cast<unsigned>(i);
    fiber.index = dim3(at % blockDim.x, at / blockDim.x % blockDim.y, at / blockDim.x / blockDim.y);
    getcontext(&fiber.context);
    fiber.context.uc_stack = {fiber.stack.get(), 0, kStackBytes};
    fiber.context.uc_link = &block.scheduler;
    makecontext(&fiber.context, run_fiber, 0);
  }
  for (int left = block.threads; left > 0;) {
    bool ran = false;
    left = 0;
    for (const int i : block.order) {
      Fiber& fiber = *block.fibers[static_cast<size_t>(i)];
      if (fiber.done || (fiber.barrier != nullptr && fiber.barrier->generation == fiber.generation)) {
        left += fiber.done ? 0 : 1;
        continue;
      }
      block.current = i;
      threadIdx = fiber.index;
      swapcontext(&block.scheduler, &fiber.context);
      ran = true;
      left += fiber.done ? 0 : 1;
    }
    if (left > 0 && !ran) fail("threads wait at different barriers");
  }
  for (int64_t i = 0; i < kGuardBytes; ++i)
    if (block.shared[static_cast<size_t>(shared_bytes + i)] != kPoison) fail("writes past its shared memory");
}

}  // namespace

void run_grid(const char* name, dim3 grid, dim3 shape, int64_t shared_bytes, const std::function<void()>& kernel) {
  block.name = name;
  block.kernel = &kernel;
  block.threads = static_cast<int>(shape.x * shape.y * shape.z);
  gridDim = grid;
  blockDim = shape;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535) fail("no such grid");
  if (block.threads == 0 || block.threads > 1024) fail("no such thread block");
  if (shared_bytes > 227 * 1024) fail("more shared memory than there is");
  while (block.fibers.size() < static_cast<size_t>(block.threads)) block.fibers.push_back(std::make_unique<Fiber>());
  static int blocks = 0;  // of all grids: one of a single block comes in all orders too
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        order_threads(blocks++);
        run_block(shared_bytes);
      }
}

void* shared_bytes() { return block.shared.data(); }
int lane() { return block.current % kLanes; }
void block_barrier() {
  if (block.whole.live != block.threads) fail("a barrier that some threads have left out");
  wait_at(block.whole);
}

void warp_barrier() {
  Barrier& warp = block.warps[static_cast<size_t>(block.current / kLanes)];
  if (warp.live != kLanes) fail("a warp's barrier that some lanes have left out");
  wait_at(warp);
}

uint64_t exchange(uint64_t value, int from_lane) {
  const int self = block.current;
  block.exchanged[static_cast<size_t>(self)] = value;
  warp_barrier();
  const uint64_t got = block.exchanged[static_cast<size_t>(self / kLanes * kLanes + from_lane)];
  warp_barrier();
  return got;
}

}  // namespace cuda_on_host
