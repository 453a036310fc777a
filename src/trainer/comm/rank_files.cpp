#include "trainer/comm/rank_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"

namespace hyperx::comm {
namespace {

constexpr const char* kFormat = "hyperx-rank-1";
constexpr size_t kListed = 8;
constexpr size_t kLineLength = 512;
constexpr size_t kDigestLength = 16;

std::string place_text(const RankState& state) {
  std::string text = "section " + state.section;
  if (state.step >= 0) text += ", step " + std::to_string(state.step);
  text += state.inside ? ", inside " : ", after ";
  return text +
         (state.collective == 0 ? "no collective" : state.collective_name + " no. " + std::to_string(state.collective));
}

std::string list_of(std::vector<std::string> items) {
  const size_t more = items.size() > kListed ? items.size() - kListed : 0;
  items.resize(items.size() - more);
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + item;
  return more == 0 ? text : text + " and " + std::to_string(more) + " more";
}

std::string name_of(const RankState& state, int64_t now_seconds, int64_t stale_seconds) {
  std::string text = "rank " + std::to_string(state.rank) + " on " + state.host + " (" + place_text(state);
  const int64_t age = now_seconds - state.written_seconds;
  if (age > stale_seconds) text += "; silent for " + std::to_string(age) + " s: stopped, or its host is lost";
  return text + ")";
}

}  // namespace

std::string format_rank_state(const RankState& state) {
  std::ostringstream line;
  line << kFormat << ' ' << state.job << ' ' << state.rank << ' ' << state.host << ' ' << state.section << ' '
       << state.step << ' ' << state.collective << ' ' << state.collective_name << ' ' << (state.inside ? 1 : 0) << ' '
       << state.written_seconds;
  return line.str() + ' ' + xxh128_hex(line.str()).substr(0, kDigestLength) + '\n';
}

std::optional<RankState> parse_rank_state(const std::string& text) {
  std::istringstream line(text);
  RankState state;
  std::string format;
  line >> format >> state.job >> state.rank >> state.host >> state.section >> state.step >> state.collective >>
      state.collective_name >> state.inside >> state.written_seconds;
  if (!line || format != kFormat) return std::nullopt;
  // A read during a write may see the beginning of one line and the end of another; then the digest does not match.
  return text.starts_with(format_rank_state(state)) ? std::optional(state) : std::nullopt;
}

std::string describe_laggards(const std::vector<std::optional<RankState>>& states,
                              const std::vector<std::string>& hosts, int64_t now_seconds, int64_t stale_seconds) {
  std::vector<std::string> unknown;
  std::vector<const RankState*> known;
  for (size_t rank = 0; rank < states.size(); ++rank) {
    if (states[rank]) {
      known.push_back(&*states[rank]);
    } else {
      unknown.push_back("rank " + std::to_string(rank) + " on " + hosts[rank]);
    }
  }
  if (!unknown.empty())
    return "nothing was heard from " + list_of(unknown) + ": not started, ended, or no shared run folder";
  const auto by_number = [](const RankState* a, const RankState* b) { return a->collective < b->collective; };
  const auto [first, last] = std::minmax_element(known.begin(), known.end(), by_number);
  std::vector<std::string> named;
  if ((*first)->collective < (*last)->collective) {
    for (const RankState* state : known) {
      if (state->collective == (*first)->collective) named.push_back(name_of(*state, now_seconds, stale_seconds));
    }
    return "the others, at " + (*last)->collective_name + " no. " + std::to_string((*last)->collective) +
           ", wait for " + list_of(named);
  }
  for (const RankState* state : known) named.push_back(name_of(*state, now_seconds, stale_seconds));
  const auto same_call = [&](const RankState* state) { return state->collective_name == known[0]->collective_name; };
  if (!std::all_of(known.begin(), known.end(), same_call)) return "the ranks make different calls: " + list_of(named);
  return "no rank is behind the others: " + list_of(named);
}

RankFiles::RankFiles(std::string folder, RankInfo info) : folder_(std::move(folder)), info_(std::move(info)) {
  if (folder_.empty()) return;
  make_folders(folder_);
  if (info_.rank != 0) return;
  std::error_code ignored;  // leftovers of a killed job: read_all() recognises them by their job name
  for (const auto& entry : std::filesystem::directory_iterator(folder_, ignored)) {
    const auto state =
        entry.is_regular_file(ignored) ? parse_rank_state(read_file(entry.path().string())) : std::nullopt;
    if (state && state->job != info_.job) std::filesystem::remove(entry.path(), ignored);
  }
}

std::string RankFiles::path_of(int rank) const { return folder_ + "/rank-" + std::to_string(rank) + ".alive"; }

bool RankFiles::publish(const RankState& state) const {
  if (folder_.empty()) return true;
  // A single write of constant length over the previous line, without sync: the file is never empty or cut off during a
  // write. A rename per rank and publication would burden a shared file system. The digest detects a torn line.
  std::string line = format_rank_state(state);
  line.resize(std::max(line.size(), kLineLength), ' ');
  const int file =
      open(path_of(info_.rank).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | O_NONBLOCK, 0644);  // never waits for a reader
  if (file < 0) return false;
  const bool written = write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  return close(file) == 0 && written;
}

std::vector<std::optional<RankState>> RankFiles::read_all() const {
  std::vector<std::optional<RankState>> states(info_.size);
  if (folder_.empty()) return states;
  for (int rank = 0; rank < info_.size; ++rank) {
    std::string line;
    try {
      line = read_file(path_of(rank));
    } catch (const UserError&) {  // the rank has not started, or has ended
      continue;
    }
    line = line.substr(0, line.find('\n'));
    auto state = parse_rank_state(line + '\n');
    if (state && state->job == info_.job && state->rank == rank) states[rank] = std::move(state);
  }
  return states;
}

bool RankFiles::claim_report() const {
  if (folder_.empty()) return true;
  const std::string path = folder_ + "/report-" + info_.job;
  const int file = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
  if (file < 0) return errno != EEXIST;  // if nothing can be written, two reports are better than none
  const RankState owner{
      .job = info_.job, .rank = info_.rank, .host = info_.host(), .section = "report", .collective_name = "none"};
  const std::string text = format_rank_state(owner);
  if (write(file, text.data(), text.size()) < 0) std::remove(path.c_str());  // the next start could not remove it
  close(file);
  return true;
}

void RankFiles::remove_own() const {
  if (!folder_.empty()) std::remove(path_of(info_.rank).c_str());
}

}  // namespace hyperx::comm
