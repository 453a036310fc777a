#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// The checkpoints of RUN/checkpoints by what they record of themselves, without a look at their tensors.
namespace hyperx::train {

constexpr char kLatest[] = "latest";
constexpr char kBest[] = "best";

// Steps of the folders named step-N, newest first.
std::vector<int64_t> steps_in(const std::string& checkpoints);

// What the file `latest` or `best` says.
struct Pointer {
  bool exists = false;
  std::string text;             // without the end of the line
  std::optional<int64_t> step;  // of the checkpoint that it names, if that exists

  std::string what_it_says() const;
};
Pointer read_pointer(const std::string& checkpoints, const char* name);

// What a checkpoint records of itself.
struct KnownCheckpoint {
  int64_t step = 0;
  std::optional<double> score;
  std::string score_of;
  bool has_optimizer = false, keeps_best = true;
};
// Newest first. Those whose manifest is damaged cannot be judged: they are left out, with a warning if `warns`.
std::vector<KnownCheckpoint> known_checkpoints(const std::string& checkpoints, bool warns);
// Those whose scores can be compared with the newest scored one's: the highest score first, of equals the earliest.
std::vector<KnownCheckpoint> best_first(std::vector<KnownCheckpoint> known);

// Removes a folder of this kind, or a file, with all that is in it; also while another process removes it, too.
// SystemError (74).
void remove_whole(const std::string& path);

}  // namespace hyperx::train
