#include "io/file_fetcher.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <coroutine>
#include <filesystem>
#include <set>
#include <system_error>
#include <thread>
#include <vector>

#include "coro/frame_pool.h"
#include "coro/inbox.h"
#include "coro/scope.h"
#include "io/announced_files.h"
#include "io/open_engine.h"
#include "io/reader.h"

namespace ringfeed::io {
namespace {

using Clock = Engine::Clock;

constexpr std::chrono::milliseconds waiting_slice{100};  // between calls of while_waiting
constexpr std::chrono::seconds drain_limit{5};
// Names of files that nobody takes are forgotten beyond these, whose bytes may be few or none.
constexpr std::size_t most_files = 16384;

/// What says nothing of the file: the process lacks something, or it is no file to be read ahead.
bool is_for_the_caller(int error) noexcept {
  switch (error) {
    case EFBIG:
    case ESPIPE:
    case EINVAL:
    case EOPNOTSUPP:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EAGAIN:
    case EINTR:
    case ECANCELED: return true;
    default: return false;
  }
}

/// Makes paths absolute, by the working directory of now. Empty for what has no name.
class Names {
 public:
  std::string absolute(const std::string& path) {
    if (path.empty() || path.starts_with('/')) return path;
    if (directory_.empty()) {
      std::error_code removed;
      directory_ = std::filesystem::current_path(removed).string();
      if (removed) return {};
    }
    return directory_ + '/' + path;
  }

 private:
  std::string directory_;
};

}  // namespace

struct FileFetcher::State {
  using File = AnnouncedFiles::File;
  using Stage = File::Stage;

  /// Marks the thread as inside, unless the call is refused.
  class Call {
   public:
    explicit Call(State& state) : state_(state.usable() ? &state : nullptr) {
      if (state_ != nullptr) state_->inside = true;
    }
    ~Call() {
      if (state_ == nullptr) return;
      state_->inside = false;
      state_->wanted = state_->files.end();
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    explicit operator bool() const noexcept { return state_ != nullptr; }

   private:
    State* state_;
  };

  State(std::unique_ptr<Engine> opened, FileFetcherOptions&& given)
      : options(std::move(given)),
        engine(std::move(opened)),
        credits(options.read_ahead_bytes, Reader::reserve_bytes(options.read_ahead_bytes)),
        reader(*engine, credits, reader_options()) {}

  ReaderOptions reader_options() {
    ReaderOptions to;
    to.max_file_bytes = options.read_ahead_bytes;
    to.path_of = [this](std::uint64_t sequence, std::string& out) { out = files.path(sequence); };
    to.report = [](const ReadReport&) {};
    return to;
  }

  coro::FramePool& frames() noexcept { return pool; }
  static coro::Task read(State& self, Clock::time_point now, std::uint64_t sequence, File& file) {
    constexpr bool to_end = true;  // whatever the file holds, nothing in it is taken for its end
    file.result = co_await self.reader.read(now, sequence, sequence, file.buffer, to_end);
    if (!file.result) file.buffer = Buffer();
    file.stage = Stage::read;
    self.reading.erase(sequence);
  }

  bool own_process() const noexcept { return process == ::getpid(); }
  bool own_thread() const noexcept { return thread == std::this_thread::get_id(); }
  bool usable() const noexcept { return !broken && !inside && own_process() && own_thread(); }

  /// False: nothing can be started now.
  bool start_next(Clock::time_point now) {
    const bool jumps = wanted != files.end() && wanted->second.stage == Stage::waiting;
    const auto file = jumps ? wanted : files.next_waiting();
    if (file == files.end()) return false;
    auto& [sequence, announced] = *file;
    if (announced.call < current_call) {
      files.forget(file);
      return true;
    }
    if (!reader.can_start()) return false;
    Buffer buffer = credits.try_acquire(reader.guess());
    if (!buffer) return files.drop_oldest_read(current_call);
    announced.buffer = std::move(buffer);
    announced.stage = Stage::reading;
    reading.insert(sequence);
    scope.spawn(read(*this, now, sequence, announced));
    return true;
  }

  void serve(Clock::time_point now) {
    reader.serve(now, reading.empty() ? files.next_sequence() : *reading.begin());
  }

  void collect() {
    inbox.take(finished, inbox_calls);
    for (const auto handle : finished) scope.collect(handle);
  }

  /// So that the storage can be unmounted, and a deleted file's blocks are free.
  void close_files_at_rest() {
    const bool rests = reading.empty() && files.next_waiting() == files.end();
    if (rests && !at_rest) engine->close_files();
    at_rest = rests;
  }

  /// Starts what there is room for, submits it and takes what comes until then.
  void turn(Clock::time_point until) {
    completions.clear();
    try {
      auto now = Clock::now();
      serve(now);
      while (credits.growth_waits() && files.drop_oldest_read(current_call)) serve(now);
      while (start_next(now)) {
      }
      close_files_at_rest();
      engine->poll(until, completions);
      now = Clock::now();
      for (const auto& completion : completions) reader.complete(now, completion);
      collect();
    } catch (...) {
      broken = true;  // out of memory, here or in the kernel: reads may be under way for ever
      completions.clear();
    }
  }

  /// Leaves nothing to be submitted.
  void pump() {
    do turn(Engine::at_once);
    while (!completions.empty());
  }

  /// Until the wanted file has been read. False: it will not be.
  bool wait() {
    const File& file = wanted->second;
    auto look_up = Clock::now() + waiting_slice;
    for (;;) {
      pump();
      if (file.stage == Stage::read) return true;
      if (broken) return false;
      if (reader.engine_idle()) {
        // Whatever is to be read waits for bytes of files that have been, and that nobody has
        // taken. What has not been begun costs its caller no more than to drop one of them.
        if (file.stage == Stage::waiting || !files.drop_oldest_read(UINT64_MAX)) return false;
        continue;
      }
      turn(look_up);
      if (file.stage != Stage::read && Clock::now() >= look_up) {
        if (options.while_waiting) options.while_waiting();
        look_up = Clock::now() + waiting_slice;
      }
    }
  }

  /// Ends all reads. False: some hang.
  bool drain() {
    files.forget_waiting();
    const auto end = Clock::now() + drain_limit;
    while (!reading.empty() && !broken && Clock::now() < end) {
      reader.cancel_before(UINT64_MAX);
      turn(std::min(end, Clock::now() + waiting_slice));
    }
    collect();
    return reading.empty();
  }

  const FileFetcherOptions options;
  const pid_t process = ::getpid();
  const std::thread::id thread = std::this_thread::get_id();
  bool inside = false;
  bool broken = false;
  bool at_rest = true;

  const std::unique_ptr<Engine> engine;
  Credits credits;
  Reader reader;
  coro::FramePool pool;
  coro::Inbox inbox{[] {}};
  coro::Scope scope{inbox};

  AnnouncedFiles files;
  AnnouncedFiles::Iterator wanted = files.end();  // by the take() under way
  std::set<std::uint64_t> reading;                // sequences
  std::uint64_t calls = 0;                        // of announce()
  std::uint64_t current_call = 0;                 // whose files are being taken

  std::vector<Engine::Completion> completions;
  std::vector<std::coroutine_handle<>> finished;
  std::vector<std::function<void()>> inbox_calls;
  State* set_aside_before = nullptr;
};

FileFetcher::FileFetcher(ReaderKind kind, const FileFetcherOptions& options)
    : FileFetcher(open_engine(kind, {options.slots, "/"}).engine, options) {}

FileFetcher::FileFetcher(std::unique_ptr<Engine> engine, FileFetcherOptions options)
    : state_(std::make_unique<State>(std::move(engine), std::move(options))) {}

FileFetcher::~FileFetcher() {
  State& state = *state_;
  if (state.own_process()) {
    if (state.own_thread() && !state.broken ? state.drain() : state.reading.empty()) return;
  }
  // The kernel may still write to its memory, which therefore stays; the list is for leak checkers.
  static std::atomic<State*> set_aside{nullptr};
  state.set_aside_before = set_aside.exchange(&state);
  static_cast<void>(state_.release());
}

std::string_view FileFetcher::engine_name() const noexcept { return state_->engine->name(); }

bool FileFetcher::announce(std::span<const std::string> paths) {
  State& state = *state_;
  const State::Call call(state);
  if (!call) return false;
  ++state.calls;
  state.turn(Engine::at_once);  // a file that is being closed keeps the next one from its slot
  Names names;
  for (const std::string& path : paths) {
    std::string name = names.absolute(path);
    if (!name.empty()) state.files.add(std::move(name), state.calls);
  }
  state.files.drop_surplus(most_files, state.calls);
  state.pump();
  return !state.broken;
}

std::optional<Expected<FetchedFile>> FileFetcher::take(const std::string& path) {
  State& state = *state_;
  const State::Call call(state);
  if (!call) return std::nullopt;
  const auto found = state.files.find(Names().absolute(path));
  if (!found) return std::nullopt;
  // The newest bytes; but an older announcement may be the one that is meant.
  state.wanted = found->newest;
  state.current_call = std::max(state.current_call, found->oldest->second.call);
  const bool has_been_read = state.wait();
  State::File& file = found->newest->second;
  if (!has_been_read) {
    if (file.stage == State::Stage::waiting) state.files.forget(found->newest);
    return std::nullopt;
  }
  std::optional<Expected<FetchedFile>> taken;
  if (file.result) {
    taken = FetchedFile(std::move(file.buffer), file.result->size);
  } else if (file.result.error().code == 0) {
    taken = FetchedFile();  // an empty file: no image, but a file
  } else if (!is_for_the_caller(file.result.error().code)) {
    taken = tl::unexpected(std::move(file.result.error()));
  }
  state.files.forget(found->newest);
  return taken;
}

}  // namespace ringfeed::io
