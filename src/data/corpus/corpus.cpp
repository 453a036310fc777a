#include "data/corpus/corpus.h"

#include <bit>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "common/digest.h"
#include "common/errors.h"
#include "common/files.h"

namespace hyperx::data {

namespace {

constexpr char kHdf5Signature[] = "\x89HDF\r\n\x1a\n";  // the first 8 bytes of a file without user block
constexpr size_t kHdf5SignatureBytes = 8;

static_assert(std::endian::native == std::endian::little, "corpus files are mapped as they are: little-endian");

struct MappedPair {
  MappedFile file;
  std::map<std::string, Split> splits;
  std::vector<std::vector<LabelId>> converted;  // labels of corpora that were written with 16 bits
};

[[noreturn]] void damaged(const std::string& path, const std::string& what) {
  throw UserError(ExitCode::kBadData, path + ": " + what + "; the file is damaged or not the one that " +
                                          kCorpusIndexName +
                                          " describes: prepare the corpus again (hyperx prepare --force)");
}

MappedFile map_checked(const std::string& path, int64_t bytes) {
  MappedFile file(path);
  if (static_cast<int64_t>(file.size()) != bytes) {
    damaged(path, std::to_string(file.size()) + " bytes, expected " + std::to_string(bytes));
  }
  if (file.size() < kHdf5SignatureBytes || std::memcmp(file.data(), kHdf5Signature, kHdf5SignatureBytes) != 0) {
    damaged(path, "not an HDF5 file");
  }
  return file;
}

// Bytes of a dataset inside the file, after a check that it is entirely there.
std::string_view bytes_of(const MappedFile& file, const std::string& path, const DatasetEntry& entry, size_t element) {
  if (entry.count == 0) return {};
  const auto size = static_cast<uint64_t>(file.size());
  const auto count = static_cast<uint64_t>(entry.count);
  const auto offset = static_cast<uint64_t>(entry.offset);
  if (entry.offset < 0 || offset % element != 0 || offset > size || count > (size - offset) / element) {
    damaged(path, "array " + entry.name + " lies outside it");
  }
  return file.view().substr(offset, count * element);
}

size_t element_size(const std::string& type) {
  if (type == "uint8") return 1;
  if (type == "int16") return 2;
  return type == "int32" ? 4 : 8;  // map_split lets no others pass
}

template <class T>
void assign(std::span<const T>& span, const MappedFile& file, const std::string& path, const DatasetEntry& entry,
            const char* type) {
  if (entry.type != type) damaged(path, "array " + entry.name + " is of type " + entry.type + ", expected " + type);
  const std::string_view bytes = bytes_of(file, path, entry, sizeof(T));
  span = {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

// Checks that offsets begin at 0 and end at `total`. That they never decrease is checked for each sentence where it is
// used (part): checking it here would read a file that may be larger than memory.
void check_starts(std::span<const int64_t> starts, size_t total, size_t sentences, const std::string& path,
                  const std::string& name) {
  if (starts.size() != sentences + 1 || starts.front() != 0 || starts.back() != static_cast<int64_t>(total))
    damaged(path, "array " + name + " is out of order");
}

// Labels of 16 bits are copied to `converted`.
Split map_split(const MappedFile& file, const std::string& path, const SplitEntry& entry,
                std::vector<std::vector<LabelId>>& converted) {
  Split split;
  split.place = path + " " + entry.name;
  for (const DatasetEntry& dataset : entry.datasets) {
    const std::string name = dataset.name.substr(dataset.name.find('/') + 1);
    if (name == "token_ids") {
      assign(split.token_ids, file, path, dataset, "int32");
    } else if (name == "sentence_starts") {
      assign(split.sentence_starts, file, path, dataset, "int64");
    } else if (name == "word_positions") {
      assign(split.word_positions, file, path, dataset, "int32");
    } else if (name == "word_starts") {
      assign(split.word_starts, file, path, dataset, "int64");
    } else if (name == "labels" && dataset.type == "int16") {
      std::span<const int16_t> narrow;
      assign(narrow, file, path, dataset, "int16");
      split.labels = converted.emplace_back(narrow.begin(), narrow.end());
    } else if (name == "labels") {
      assign(split.labels, file, path, dataset, "int32");
    } else if (name == "seen") {
      assign(split.seen, file, path, dataset, "uint8");
    } else {
      damaged(path, "array " + dataset.name + " is unknown");
    }
  }
  const auto sentences = static_cast<size_t>(entry.counts.sentences);
  check_starts(split.sentence_starts, split.token_ids.size(), sentences, path, entry.name + "/sentence_starts");
  if (split.labelled()) {
    check_starts(split.word_starts, split.word_positions.size(), sentences, path, entry.name + "/word_starts");
  }
  if (split.labels.size() != split.word_positions.size() || (!split.labelled() && !split.word_positions.empty())) {
    damaged(path, "array " + entry.name + "/labels has another length than the words");
  }
  if (!split.seen.empty() && split.seen.size() != sentences)
    damaged(path, "array " + entry.name + "/seen is too short");
  return split;
}

template <class T>
std::span<const T> part(std::span<const T> all, std::span<const int64_t> starts, int64_t index,
                        const std::string& place) {
  const auto i = static_cast<size_t>(index);
  const int64_t begin = starts[i], end = starts[i + 1];
  if (begin < 0 || begin > end || end > std::ssize(all))
    damaged(place, "sentence " + std::to_string(index) + " is out of order");
  return all.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
}

// Piece by piece, so that it can be interrupted.
std::string digest_of(std::string_view bytes, const std::stop_token& stop) {
  constexpr size_t kPieceBytes = size_t{16} << 20;
  Xxh128 digest;
  for (; !bytes.empty() && !stop.stop_requested(); bytes.remove_prefix(std::min(kPieceBytes, bytes.size())))
    digest.update(bytes.substr(0, kPieceBytes));
  return digest.hex();
}

void verify_split(const MappedFile& file, const std::string& path, const SplitEntry& entry, bool compare,
                  const std::stop_token& stop) {
  std::vector<std::vector<LabelId>> converted;
  const Split split = map_split(file, path, entry, converted);  // checks types and offsets
  for (const DatasetEntry& dataset : entry.datasets) {
    if (!compare) break;
    const std::string digest = digest_of(bytes_of(file, path, dataset, element_size(dataset.type)), stop);
    if (stop.stop_requested()) return;
    if (digest != dataset.xxh128)
      damaged(path, "the XXH128 of array " + dataset.name + " is not the one of " + kCorpusIndexName);
  }
  for (int64_t sentence = 0; sentence < split.sentences() && !stop.stop_requested(); ++sentence) {
    split.tokens_of(sentence);
    split.labels_of(sentence);
  }
}

// `only`: the split to verify if the index has no digest of the whole file; null: all.
void verify_file(const std::string& path, const PairEntry& entry, const SplitEntry* only, const std::stop_token& stop) {
  const MappedFile file = map_checked(path, entry.bytes);
  const bool has_digest = !entry.xxh128.empty();
  const bool whole = has_digest && digest_of(file.view(), stop) == entry.xxh128;
  if (stop.stop_requested()) return;
  for (const SplitEntry& split : entry.splits)
    if (has_digest || only == nullptr || only == &split) verify_split(file, path, split, !whole, stop);
  if (has_digest && !whole && !stop.stop_requested())
    damaged(path,
            std::string("bytes outside its arrays were changed: its XXH128 is not the one of ") + kCorpusIndexName);
}

}  // namespace

std::span<const int32_t> Split::tokens_of(int64_t sentence) const {
  return part(token_ids, sentence_starts, sentence, place);
}
std::span<const int32_t> Split::word_positions_of(int64_t sentence) const {
  return labelled() ? part(word_positions, word_starts, sentence, place) : std::span<const int32_t>();
}
std::span<const LabelId> Split::labels_of(int64_t sentence) const {
  return labelled() ? part(labels, word_starts, sentence, place) : std::span<const LabelId>();
}

struct Corpus::State {
  std::string folder, text, digest;
  CorpusIndex index;
  TaskSet tasks;
  std::unordered_map<std::string, size_t> places;     // pair name -> index.pairs
  std::mutex mutex;                                   // guards the members below
  std::vector<std::unique_ptr<MappedPair>> mapped;    // [pairs] null: not used yet
  std::set<std::pair<size_t, std::string>> verified;  // pair and split; "": the whole file

  std::string path_of(const PairEntry& entry) const { return folder + "/" + entry.file; }
};

Corpus::Corpus(std::unique_ptr<State> state) : state_(std::move(state)) {}
Corpus::Corpus(Corpus&&) noexcept = default;
Corpus& Corpus::operator=(Corpus&&) noexcept = default;
Corpus::~Corpus() = default;

Corpus Corpus::open(const std::string& folder) {
  return from_index(folder, read_file(folder + "/" + kCorpusIndexName));
}

Corpus Corpus::from_index(const std::string& folder, const std::string& index_text) {
  auto state = std::make_unique<State>();
  state->folder = folder;
  state->text = index_text;
  state->digest = xxh128_hex(index_text);
  const std::string path = folder + "/" + kCorpusIndexName;
  state->index = CorpusIndex::from_json(index_text, path);
  state->tasks = tasks_of(state->index, {}, path);
  for (size_t i = 0; i < state->index.pairs.size(); ++i) state->places[state->index.pairs[i].pair.name()] = i;
  state->mapped.resize(state->index.pairs.size());
  return Corpus(std::move(state));
}

const CorpusIndex& Corpus::index() const { return state_->index; }
const std::string& Corpus::index_text() const { return state_->text; }
const std::string& Corpus::digest() const { return state_->digest; }

std::vector<Pair> Corpus::pairs() const {
  std::vector<Pair> pairs;
  for (const PairEntry& entry : state_->index.pairs) pairs.push_back(entry.pair);
  return pairs;
}

std::vector<Pair> Corpus::pairs_with(const std::string& split) const {
  std::vector<Pair> pairs;
  for (const PairEntry& entry : state_->index.pairs) {
    if (entry.find_split(split) != nullptr) pairs.push_back(entry.pair);
  }
  return pairs;
}

bool Corpus::has(const Pair& pair, const std::string& split) const {
  const auto found = state_->places.find(pair.name());
  return found != state_->places.end() && state_->index.pairs[found->second].find_split(split) != nullptr;
}

const PairEntry& Corpus::entry(const Pair& pair) const {
  const auto found = state_->places.find(pair.name());
  if (found == state_->places.end()) {
    throw UserError(ExitCode::kBadConfig, "the corpus " + state_->folder + " has no pair " + pair.name() +
                                              "; add it to the manifest and prepare again, or name another");
  }
  return state_->index.pairs[found->second];
}

const TaskSet& Corpus::tasks() const { return state_->tasks; }

const Split& Corpus::split(const Pair& pair, const std::string& name) const {
  const PairEntry& described = entry(pair);
  if (described.find_split(name) == nullptr) {
    std::string message = pair.name() + " has no " + name + " split in the corpus " + state_->folder;
    if (described.trains_on_test) {
      message += ": its only split, test, trains (data.train_on_test), so the pair is never scored";
    } else {
      message += "; it has:";
      for (const SplitEntry& split : described.splits) message += " " + split.name;
    }
    throw UserError(ExitCode::kBadConfig, message);
  }
  const size_t place = state_->places.at(pair.name());
  const std::lock_guard<std::mutex> lock(state_->mutex);
  std::unique_ptr<MappedPair>& mapped = state_->mapped[place];
  if (!mapped) {
    const std::string path = state_->path_of(described);
    auto fresh = std::make_unique<MappedPair>();
    fresh->file = map_checked(path, described.bytes);
    for (const SplitEntry& split : described.splits)
      fresh->splits[split.name] = map_split(fresh->file, path, split, fresh->converted);
    mapped = std::move(fresh);
  }
  return mapped->splits.at(name);
}

void Corpus::verify(const Pair& pair) const {
  const PairEntry& described = entry(pair);
  verify_file(state_->path_of(described), described, nullptr, {});
}

void Corpus::verify_summaries() const {
  for (const auto& [name, digest] : state_->index.summaries) {
    const std::string path = state_->folder + "/" + name;
    if (xxh128_of_file(path) != digest) damaged(path, std::string("its XXH128 is not the one of ") + kCorpusIndexName);
  }
}

void Corpus::verify_once(const Pair& pair, const std::string& split, const std::stop_token& stop) const {
  const PairEntry& described = entry(pair);
  const SplitEntry* const wanted = described.find_split(split);
  HYPERX_CHECK(wanted != nullptr, "a split that is not there cannot be verified");
  const std::pair<size_t, std::string> key(state_->places.at(pair.name()), described.xxh128.empty() ? split : "");
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    if (state_->verified.contains(key)) return;
  }
  verify_file(state_->path_of(described), described, wanted, stop);
  const std::lock_guard<std::mutex> lock(state_->mutex);
  if (!stop.stop_requested()) state_->verified.insert(key);
}

}  // namespace hyperx::data
