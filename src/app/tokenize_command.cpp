#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "app/commands.h"
#include "common/errors.h"
#include "common/files.h"
#include "common/json.h"
#include "common/log.h"
#include "data/source/sentence_reader.h"
#include "data/tokenizer/tokenizer.h"
#include "data/tokenizer/utf8.h"
#include "model/encoder/encoder_spec.h"

namespace hyperx {
namespace {

constexpr size_t kRoundBytes = size_t{4} << 20;   // text tokenised at a time by all threads together
constexpr size_t kPieceBytes = size_t{64} << 10;  // less than this is not worth a thread

// A line that cannot be tokenised: `offset` into the text of the round.
struct BadLine {
  size_t offset;
  std::string what;
};

// The work of one thread: takes whole lines, returns one line of ids for each.
class Piece {
 public:
  Piece(const data::Tokenizer& tokenizer, bool json) : tokenizer_(tokenizer), json_(json) {}

  void run(std::string_view round, size_t begin, size_t end) {
    output_.clear();
    bad_.reset();
    for (size_t at = begin; at < end && !bad_;) {
      const size_t stop = std::min(round.find('\n', at), end);
      const std::string_view line = round.substr(at, stop - at);
      const size_t invalid = data::find_invalid_utf8(line);
      if (invalid != std::string_view::npos)
        bad_ = BadLine{at, fmt::format("invalid UTF-8 at byte {} of the line: convert the text to UTF-8", invalid + 1)};
      else if (json_)
        add_json(line, at);
      else
        add_ids(line);
      output_ += '\n';
      at = stop + 1;
    }
  }
  const std::string& output() const { return output_; }
  const std::optional<BadLine>& bad() const { return bad_; }

 private:
  void add_ids(std::string_view text) {
    ids_.clear();
    tokenizer_.line(text, ids_);
    output_ += '[';
    for (const int32_t id : ids_) {
      const fmt::format_int digits(id);
      output_.append(digits.data(), digits.size());
      output_ += ',';
    }
    if (!ids_.empty()) output_.pop_back();
    output_ += ']';
  }

  void add_json(std::string_view line, size_t offset) {
    const auto value = parse_json_or_discard(line);
    const auto is_string = [](const nlohmann::json& item) { return item.is_string(); };
    if (value.is_string()) return add_ids(value.get_ref<const std::string&>());
    if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_string)) {
      bad_ = BadLine{offset, fmt::format("neither a JSON string nor a list of strings, value '{}': write one a line",
                                         line.substr(0, 80))};
      return;
    }
    output_ += '[';
    for (const auto& word : value) {
      if (output_.back() == ']') output_ += ',';
      add_ids(word.get_ref<const std::string&>());
    }
    output_ += ']';
  }

  const data::Tokenizer& tokenizer_;
  const bool json_;
  std::vector<int32_t> ids_;
  std::string output_;
  std::optional<BadLine> bad_;
};

// An open input, standard input or a file, read as soon as data is available.
class Input {
 public:
  explicit Input(const std::string& path) : name_(path.empty() ? "standard input" : path) {
    if (!path.empty()) fd_ = open_to_read(path, InputKind::kText);
  }
  ~Input() {
    if (fd_ != STDIN_FILENO) ::close(fd_);
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  const std::string& name() const { return name_; }

  // Appends available data, at least one byte, until `text` holds kRoundBytes or it would have to wait. False: end of
  // input.
  bool read_more(std::string& text) const {
    const size_t before = text.size();
    do {
      const size_t old = text.size();
      text.resize(std::max(old + kPieceBytes, kRoundBytes));
      const ssize_t got = ::read(fd_, text.data() + old, text.size() - old);
      text.resize(old + static_cast<size_t>(std::max<ssize_t>(got, 0)));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw UserError(ExitCode::kNoInput, name_ + ": cannot be read: " + errno_text());
      if (got == 0) break;
    } while (text.size() < kRoundBytes && ready());
    return text.size() > before;
  }

 private:
  bool ready() const {
    pollfd wait = {fd_, POLLIN, 0};
    return ::poll(&wait, 1, 0) > 0;
  }

  std::string name_;
  int fd_ = STDIN_FILENO;
};

class IdPrinter {
 public:
  IdPrinter(const data::Tokenizer& tokenizer, bool json, int threads) {
    for (int i = 0; i < threads; ++i) pieces_.emplace_back(tokenizer, json);
  }

  void run(const Input& input) {
    std::string text;
    int64_t lines = 0;
    for (bool more = true; more;) {
      more = input.read_more(text);
      const size_t last = text.rfind('\n');
      const size_t whole = !more ? text.size() : last == std::string::npos ? 0 : last + 1;
      if (text.size() - whole > data::kLongestLineBytes)
        throw UserError(ExitCode::kBadData,
                        fmt::format("{}:{}: a line of more than {} bytes: is this a text file?", input.name(),
                                    lines + std::count(text.begin(), text.end(), '\n') + 1, data::kLongestLineBytes));
      if (whole > 0) run_round(std::string_view(text).substr(0, whole), input.name(), lines);
      text.erase(0, whole);
    }
  }

 private:
  // Tokenises whole lines and prints their ids, in their order.
  void run_round(std::string_view round, const std::string& name, int64_t& lines) {
    const size_t count = std::clamp<size_t>(round.size() / kPieceBytes, 1, pieces_.size());
    std::vector<size_t> cuts = {0};
    for (size_t i = 1; i < count; ++i) {
      const size_t cut = round.find('\n', std::max(cuts.back(), round.size() * i / count));
      cuts.push_back(cut == std::string_view::npos ? round.size() : cut + 1);
    }
    cuts.push_back(round.size());
    std::vector<std::thread> threads;
    for (size_t i = 1; i < count; ++i) threads.emplace_back([&, i] { pieces_[i].run(round, cuts[i], cuts[i + 1]); });
    pieces_[0].run(round, cuts[0], cuts[1]);
    for (std::thread& thread : threads) thread.join();
    for (size_t i = 0; i < count; ++i) {
      if (pieces_[i].bad()) {
        const BadLine& bad = *pieces_[i].bad();
        const auto before = std::count(round.begin(), round.begin() + static_cast<std::ptrdiff_t>(bad.offset), '\n');
        throw UserError(ExitCode::kBadData, fmt::format("{}:{}: {}", name, lines + before + 1, bad.what));
      }
      const std::string& output = pieces_[i].output();
      if (std::fwrite(output.data(), 1, output.size(), stdout) != output.size()) fail_output();
    }
    if (std::fflush(stdout) != 0) fail_output();
    lines += std::count(round.begin(), round.end(), '\n');
  }

  [[noreturn]] static void fail_output() { throw SystemError("standard output: cannot be written: " + errno_text()); }

  std::vector<Piece> pieces_;
};

int run_tokenize(const CommandLine& line) {
  const std::string folder = model::encoder_folder(line.config.model.encoder);
  if (folder.empty())
    throw UserError(ExitCode::kUsage,
                    "--model.encoder FOLDER is missing: the encoder whose vocabulary tokenizes the text");
  const auto tokenizer = data::Tokenizer::load(folder);
  const unsigned available = std::max(1U, std::thread::hardware_concurrency());
  const int threads = line.config.threads > 0 ? line.config.threads : static_cast<int>(available);
  IdPrinter printer(*tokenizer, line.has_flag("json"), threads);
  if (line.objects.empty()) printer.run(Input(""));
  for (const std::string& path : line.objects) printer.run(Input(path));
  return 0;
}

}  // namespace

Command tokenize_command() {
  CommandSpec spec;
  spec.name = "tokenize";
  spec.usage = "hyperx tokenize --model.encoder FOLDER [--json] [FILE]...";
  spec.summary = "prints the sub-word ids of each line as a JSON list";
  spec.help =
      "Reads the files, or standard input. The ids are those of the encoder's vocabulary, untruncated and without the\n"
      "tokens that begin and end a sentence. With --json every line is a JSON string, or a list of words that gives a "
      "list of\n"
      "lists.\n\n"
      "Example:\n"
      "  echo 'Hello, world!' | hyperx tokenize --model.encoder examples/encoder";
  spec.key_prefixes = {"model.encoder", "threads"};
  spec.flags = {{"json", "", "lines are JSON strings or lists of words"}};
  return {spec, run_tokenize};
}

}  // namespace hyperx
