#include "data/corpus/prepare.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "common/clock.h"
#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/log.h"
#include "common/progress.h"
#include "data/corpus/corpus_writer.h"
#include "data/corpus/prepare_split.h"
#include "data/corpus/prepare_summary.h"
#include "data/source/manifest.h"

namespace hyperx::data {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kGroupBytes = int64_t{256} << 20;  // source files whose sentences are in memory at the same time

// One pair and split during preparation.
struct Job {
  size_t pair = 0;    // CorpusIndex::pairs
  std::string split;  // as stored: a test split used for training is "train"
  std::vector<const ManifestEntry*> entries;
  int64_t bytes = 0;  // of its source files
  SplitArrays arrays;
  OverlapSplit overlap;
  int64_t dropped = 0;
  std::vector<std::string> doubts;
};

// Calls work(0) ... work(count - 1) on `threads` threads, each taking the next number when it is free. After an
// exception no further work is started, and the exception with the lowest number is thrown.
void parallel_for(size_t count, int threads, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  std::vector<std::exception_ptr> errors(count);
  const auto loop = [&] {
    for (size_t i = next++; i < count && !failed; i = next++) {
      try {
        work(i);
      } catch (...) {
        errors[i] = std::current_exception();
        failed = true;
      }
    }
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < threads && static_cast<size_t>(t) < count; ++t) pool.emplace_back(loop);
  loop();
  for (std::thread& thread : pool) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

class Preparation {
 public:
  Preparation(const PrepareOptions& options)
      : options_(options),
        tokenizer_(Tokenizer::load(options.tokenizer)),
        tasks_(TaskSet::all(options.task_options)),
        manifest_(read_manifest(options.manifest, tasks_, options.root)) {
    threads_ =
        options.threads > 0 ? options.threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    describe();
    plan_jobs();
  }

  CorpusIndex run(const std::string& folder) {
    int64_t bytes = 0;
    for (const Job& job : jobs_) bytes += job.bytes;
    Progress progress("prepare", bytes, "bytes of text");
    for (std::vector<Job*>& group : groups_) {
      read_group(group, progress);
      compare_group(group);
      write_group(group, folder);
      for (Job* job : group) *job = Job();  // frees the memory
    }
    return std::move(index_);
  }

 private:
  void describe() {
    index_.tokenizer_digest = tokenizer_->digest();
    index_.vocabulary_size = tokenizer_->size();
    index_.cls_id = tokenizer_->special().begin;
    index_.sep_id = tokenizer_->special().end;
    index_.mask_id = tokenizer_->special().mask;
    for (const TaskRow& row : task_rows())
      for (const CorpusOption& option : row.corpus_options)
        index_.task_options[option.key] = option.get(options_.task_options);
    index_.label_position = resolved_label_position(options_.label_position, *tokenizer_);
    if (index_.label_position == "after-blank") index_.blank_id = tokenizer_->blank();
    index_.overlap = options_.overlap;
    index_.max_subwords = options_.max_subwords;
    for (const Pair& pair : manifest_.pairs()) {
      const std::vector<std::string> splits = manifest_.splits_of(pair);
      PairEntry entry;
      entry.pair = pair;
      entry.trains_on_test = options_.train_on_test && splits.size() == 1 && splits[0] == "test";
      index_.pairs.push_back(std::move(entry));
      index_.labels[pair.task] = tasks_.at(pair.task).labels();
    }
  }

  void plan_jobs() {
    for (size_t p = 0; p < index_.pairs.size(); ++p) {
      const PairEntry& entry = index_.pairs[p];
      for (const std::string& split : manifest_.splits_of(entry.pair)) {
        Job job;
        job.pair = p;
        job.split = entry.trains_on_test ? "train" : split;
        job.entries = manifest_.entries_of(entry.pair, split);
        for (const ManifestEntry* source : job.entries) {
          std::error_code error;  // a file that is missing by now is reported by its reader
          const auto bytes = fs::file_size(source->source.path, error);
          if (!error) job.bytes += static_cast<int64_t>(bytes);
        }
        jobs_.push_back(std::move(job));
      }
    }
    // Groups whole languages, in the manifest's order, as many as fit together.
    std::vector<std::string> languages;
    std::map<std::string, std::vector<Job*>> by_language;
    for (Job& job : jobs_) {
      std::vector<Job*>& members = by_language[index_.pairs[job.pair].pair.base_language()];
      if (members.empty()) languages.push_back(index_.pairs[job.pair].pair.base_language());
      members.push_back(&job);
    }
    int64_t bytes = kGroupBytes + 1;
    for (const std::string& language : languages) {
      int64_t more = 0;
      for (const Job* job : by_language[language]) more += job->bytes;
      if (bytes + more > kGroupBytes) {
        groups_.emplace_back();
        bytes = 0;
      }
      bytes += more;
      groups_.back().insert(groups_.back().end(), by_language[language].begin(), by_language[language].end());
    }
  }

  void read_group(const std::vector<Job*>& group, Progress& progress) {
    std::vector<Job*> largest_first = group;
    std::stable_sort(largest_first.begin(), largest_first.end(), [](Job* a, Job* b) { return a->bytes > b->bytes; });
    parallel_for(largest_first.size(), threads_, [&](size_t i) {
      Job& job = *largest_first[i];
      const Task& task = tasks_.at(index_.pairs[job.pair].pair.task);
      job.arrays = read_split(job.entries, task, *tokenizer_, index_.label_position, manifest_.root);
      if (job.arrays.limited) {
        log::info("{}: the first {} sentences are taken; limit= in the manifest takes more or fewer",
                  index_.pairs[job.pair].pair.name(), kTextSentenceLimit);
      }
      progress.advance(job.bytes);
    });
  }

  void compare_group(const std::vector<Job*>& group) {
    std::map<std::string, std::vector<OverlapSplit*>> by_language;
    for (Job* job : group) {
      const PairEntry& entry = index_.pairs[job->pair];
      job->overlap.pair = entry.pair;
      job->overlap.trains = job->split == "train";
      job->overlap.keys = std::move(job->arrays.keys);
      by_language[entry.pair.base_language()].push_back(&job->overlap);
    }
    std::vector<std::vector<OverlapSplit*>*> languages;
    for (auto& [language, splits] : by_language) languages.push_back(&splits);
    parallel_for(languages.size(), threads_, [&](size_t i) { find_overlaps(*languages[i]); });
    if (options_.overlap == "refuse") refuse_overlaps(group);
    for (Job* job : group) {
      job->arrays.keys = std::move(job->overlap.keys);
      if (options_.overlap == "drop") {
        if (job->overlap.trains) {
          job->dropped = drop_sentences(job->arrays, job->overlap.found);
        } else {  // no overlap with training data is left there
          job->overlap.found.assign(job->overlap.found.size(), 0);
          job->overlap.against.clear();
        }
      }
      if (!job->overlap.trains) job->arrays.seen = job->overlap.found;
    }
  }

  void refuse_overlaps(const std::vector<Job*>& group) const {
    for (const Job* job : group) {
      const int64_t found = job->overlap.trains ? 0 : job->overlap.found_count();
      if (found == 0) continue;
      std::string where;
      for (const auto& [name, count] : job->overlap.against) where += " " + name + " " + std::to_string(count) + ",";
      where.pop_back();
      throw UserError(ExitCode::kBadData,
                      "data.overlap=refuse: " + std::to_string(found) + " of " +
                          std::to_string(job->arrays.sentences()) + " sentences of " + job->overlap.pair.name() + " " +
                          job->split + " stand in training data (" + where.substr(1) +
                          "); data.overlap=drop leaves these training sentences out, report counts them");
    }
  }

  void write_group(const std::vector<Job*>& group, const std::string& folder) {
    std::map<size_t, std::vector<Job*>> by_pair;
    for (Job* job : group) by_pair[job->pair].push_back(job);
    std::vector<std::pair<size_t, std::vector<Job*>>> pairs(by_pair.begin(), by_pair.end());
    parallel_for(pairs.size(), threads_, [&](size_t i) {
      PairEntry& entry = index_.pairs[pairs[i].first];
      std::vector<std::pair<std::string, const SplitArrays*>> splits;
      for (Job* job : pairs[i].second) {
        SplitEntry split;
        split.name = job->split;
        split.counts = count_split(job->arrays, tokenizer_->special().unknown, options_.max_subwords);
        job->doubts = doubts_about(job->arrays, split.counts, tasks_.at(entry.pair.task));
        split.dropped = job->dropped;
        split.limited = job->arrays.limited;
        split.sources = job->arrays.sources;
        if (!job->overlap.trains) {
          split.overlap = job->overlap.found_count();
          split.overlap_with = job->overlap.against;
        }
        entry.splits.push_back(std::move(split));
        splits.emplace_back(job->split, &job->arrays);
      }
      write_pair(folder, splits, entry);
    });
    for (const Job* job : group)
      for (const std::string& doubt : job->doubts)
        log::warning("{} {}: {}", index_.pairs[job->pair].pair.name(), job->split, doubt);
  }

  const PrepareOptions& options_;
  std::unique_ptr<const Tokenizer> tokenizer_;
  TaskSet tasks_;
  Manifest manifest_;
  int threads_ = 1;
  CorpusIndex index_;
  std::vector<Job> jobs_;
  std::vector<std::vector<Job*>> groups_;
};

}  // namespace

CorpusIndex prepare(const PrepareOptions& options) {
  Preparation preparation(options);
  CorpusFolder folder(options.corpus, options.force);
  CorpusIndex index = preparation.run(folder.temporary());
  for (const auto& [name, text] :
       {std::pair{"summary.tsv", summary_tsv(index)}, {"summary.json", summary_json(index)}}) {
    write_file_atomically(folder.temporary() + "/" + name, text);
    index.summaries[name] = xxh128_hex(text);
  }
  write_file_atomically(folder.temporary() + "/" + kCorpusIndexName, index.to_json());
  folder.commit();
  return index;
}

}  // namespace hyperx::data
