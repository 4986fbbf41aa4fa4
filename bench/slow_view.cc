// A folder seen through a storage that is far away: every open of a file, and every read that
// reaches the storage, is answered some time after it has been asked. Any number may wait at once.
// Nothing stays in the page cache from one open to the next, as where a dataset is larger than
// memory. Names and sizes come at once.
//
//   bench_slow_view FOLDER MOUNTPOINT MILLISECONDS COMMAND...: runs the command, then says what was
//   asked. Only the command sees what is mounted there, in a mount namespace that ends with it.
//   Where you may not mount, put `unshare --user --map-root-user` before it.
//
// One thread and no library, because what the view costs is taken from the command's cores.
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t forever = 1U << 30;  // seconds that names and sizes hold

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

struct Node {
  std::filesystem::path path;
  struct stat status{};
  std::map<std::string, std::uint64_t, std::less<>> entries;  // of a folder
  const std::byte* bytes = nullptr;                           // of a file, once it has been opened
};

/// All of a folder, as it was at the start. A node's number is its place, from 1 on.
class Tree {
 public:
  explicit Tree(const std::filesystem::path& root) { add(root); }
  Node& at(std::uint64_t number) { return nodes_.at(number - 1); }

 private:
  std::uint64_t add(const std::filesystem::path& path) {
    nodes_.push_back({path, {}, {}, nullptr});
    const std::uint64_t number = nodes_.size();
    if (stat(path.c_str(), &at(number).status) != 0) fail(path.c_str());
    at(number).status.st_ino = number;
    if (S_ISDIR(at(number).status.st_mode)) {
      for (const auto& entry : std::filesystem::directory_iterator(path)) {
        const std::uint64_t child = add(entry.path());
        at(number).entries.emplace(entry.path().filename().string(), child);
      }
    }
    return number;
  }

  std::deque<Node> nodes_;
};

fuse_attr attributes(const struct stat& from) {
  fuse_attr to{};
  to.ino = from.st_ino;
  to.size = static_cast<std::uint64_t>(from.st_size);
  to.blocks = static_cast<std::uint64_t>(from.st_blocks);
  to.mtime = static_cast<std::uint64_t>(from.st_mtime);
  to.mode = from.st_mode;
  to.nlink = 1;
  to.blksize = 4096;
  return to;
}

class View {
 public:
  View(const char* folder, const char* mountpoint, std::chrono::milliseconds delay)
      : tree_(folder), delay_(delay), device_(open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK)) {
    if (device_ < 0) fail("/dev/fuse");
    const std::string options = "fd=" + std::to_string(device_) +
                                ",rootmode=40000,user_id=" + std::to_string(getuid()) +
                                ",group_id=" + std::to_string(getgid()) + ",allow_other";
    if (unshare(CLONE_NEWNS) != 0) fail("unshare");
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) fail("/");
    constexpr unsigned long flags = MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOATIME;
    if (mount("slow_view", mountpoint, "fuse.slow_view", flags, options.c_str()) != 0) {
      fail(mountpoint);
    }
  }

  /// Until the process of this descriptor has ended.
  void serve_while(int process) {
    pollfd events[] = {{device_, POLLIN, 0}, {process, POLLIN, 0}};
    while ((events[1].revents & POLLIN) == 0) {
      const timespec wait = time_to_next();
      if (ppoll(events, 2, waiting_.empty() ? nullptr : &wait, nullptr) < 0 && errno != EINTR) {
        fail("ppoll");
      }
      while (take_request()) {
      }
      answer_due();
    }
  }

  std::uint64_t opens() const { return opens_; }
  std::uint64_t reads() const { return reads_; }

 private:
  struct Waiting {
    Clock::time_point due;
    std::uint64_t request;
    std::span<const std::byte> bytes;  // of a read; none for an open
    bool is_open;
  };

  timespec time_to_next() const {
    if (waiting_.empty()) return {};
    const auto wait = std::max(Clock::duration::zero(), waiting_.front().due - Clock::now());
    return {wait / std::chrono::seconds(1), (wait % std::chrono::seconds(1)).count()};
  }

  void answer_due() {
    const auto now = Clock::now();
    while (!waiting_.empty() && waiting_.front().due <= now) {
      const Waiting& first = waiting_.front();
      if (first.is_open) {
        reply(first.request, fuse_open_out{});
      } else {
        reply(first.request, 0, first.bytes);
      }
      waiting_.pop_front();
    }
  }

  /// False: none has come.
  bool take_request() {
    const auto size = read(device_, buffer_, sizeof buffer_);
    if (size < static_cast<ssize_t>(sizeof(fuse_in_header))) return false;
    fuse_in_header header;
    std::memcpy(&header, buffer_, sizeof header);
    const std::byte* body = buffer_ + sizeof header;
    switch (header.opcode) {
      case FUSE_INIT: start(header, body); break;
      case FUSE_LOOKUP: look_up(header, reinterpret_cast<const char*>(body)); break;
      case FUSE_GETATTR: {
        fuse_attr_out found{};
        found.attr_valid = forever;
        found.attr = attributes(tree_.at(header.nodeid).status);
        reply(header.unique, found);
        break;
      }
      case FUSE_OPENDIR: reply(header.unique, fuse_open_out{}); break;
      case FUSE_READDIR: list(header, body); break;
      case FUSE_OPEN: open_file(header); break;
      case FUSE_READ: read_file(header, body); break;
      case FUSE_RELEASE:
      case FUSE_RELEASEDIR: reply(header.unique, 0, {}); break;
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
      case FUSE_INTERRUPT: break;  // which have no answer
      default: reply(header.unique, -ENOSYS, {});
    }
    return true;
  }

  void start(const fuse_in_header& header, const std::byte* body) {
    fuse_init_in asked{};
    std::memcpy(&asked, body, offsetof(fuse_init_in, flags2));
    fuse_init_out found{};
    found.major = FUSE_KERNEL_VERSION;
    found.minor = std::min<std::uint32_t>(asked.minor, FUSE_KERNEL_MINOR_VERSION);
    found.max_readahead = asked.max_readahead;
    found.flags = asked.flags & (FUSE_ASYNC_READ | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES);
    found.max_background = found.congestion_threshold = 8192;  // 12 by default, in all
    found.max_write = 4096;
    found.max_pages = 256;
    found.time_gran = 1;
    reply(header.unique, found);
  }

  void look_up(const fuse_in_header& header, std::string_view name) {
    const auto& entries = tree_.at(header.nodeid).entries;
    const auto found = entries.find(name);
    if (found == entries.end()) return reply(header.unique, -ENOENT, {});
    fuse_entry_out entry{};
    entry.nodeid = found->second;
    entry.entry_valid = entry.attr_valid = forever;
    entry.attr = attributes(tree_.at(found->second).status);
    reply(header.unique, entry);
  }

  void list(const fuse_in_header& header, const std::byte* body) {
    fuse_read_in asked;
    std::memcpy(&asked, body, sizeof asked);
    std::vector<std::byte> found;
    std::uint64_t at = 0;
    for (const auto& [name, number] : tree_.at(header.nodeid).entries) {
      if (at++ < asked.offset) continue;
      const fuse_dirent entry{number, at, static_cast<std::uint32_t>(name.size()),
                              (tree_.at(number).status.st_mode & S_IFMT) >> 12};
      const std::size_t begin = found.size();
      const std::size_t end = begin + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + name.size());
      if (end > asked.size) break;
      found.resize(end);
      std::memcpy(found.data() + begin, &entry, FUSE_NAME_OFFSET);
      std::memcpy(found.data() + begin + FUSE_NAME_OFFSET, name.data(), name.size());
    }
    reply(header.unique, 0, found);
  }

  void open_file(const fuse_in_header& header) {
    ++opens_;
    Node& node = tree_.at(header.nodeid);
    if (node.bytes == nullptr && node.status.st_size > 0) {
      const int file = open(node.path.c_str(), O_RDONLY | O_CLOEXEC);
      const auto size = static_cast<std::size_t>(node.status.st_size);
      void* bytes = mmap(nullptr, size, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
      if (file < 0 || bytes == MAP_FAILED) fail(node.path.c_str());
      close(file);
      node.bytes = static_cast<const std::byte*>(bytes);
    }
    waiting_.push_back({Clock::now() + delay_, header.unique, {}, true});
  }

  void read_file(const fuse_in_header& header, const std::byte* body) {
    ++reads_;
    fuse_read_in asked;
    std::memcpy(&asked, body, sizeof asked);
    const Node& node = tree_.at(header.nodeid);
    const auto size = static_cast<std::uint64_t>(node.status.st_size);
    const auto begin = std::min(asked.offset, size);
    const auto length = std::min<std::uint64_t>(asked.size, size - begin);
    waiting_.push_back({Clock::now() + delay_, header.unique, {node.bytes + begin, length}, false});
  }

  template <typename Body>
  void reply(std::uint64_t request, const Body& body) {
    reply(request, 0, std::as_bytes(std::span(&body, 1)));
  }
  void reply(std::uint64_t request, int error, std::span<const std::byte> body) {
    fuse_out_header header{static_cast<std::uint32_t>(sizeof(fuse_out_header) + body.size()), error,
                           request};
    const iovec parts[] = {{&header, sizeof header},
                           {const_cast<std::byte*>(body.data()), body.size()}};
    // ENOENT: who asked has been killed.
    if (writev(device_, parts, body.empty() ? 1 : 2) < 0 && errno != ENOENT) fail("/dev/fuse");
  }

  Tree tree_;
  const std::chrono::milliseconds delay_;
  const int device_;
  std::deque<Waiting> waiting_;  // by due: all wait as long
  std::uint64_t opens_ = 0, reads_ = 0;
  alignas(8) std::byte buffer_[16384];  // the kernel asks for 8 KiB at least
};

int run(View& view, char** command) {
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    execvp(command[0], command);
    std::perror(command[0]);
    _exit(127);
  }
  const int process = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  if (process < 0) fail("pidfd_open");
  view.serve_while(process);
  int status = 0;
  waitpid(child, &status, 0);
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  std::fprintf(stderr, "%llu opens, %llu reads; the view took %.2f s of CPU\n",
               static_cast<unsigned long long>(view.opens()),
               static_cast<unsigned long long>(view.reads()),
               seconds(used.ru_utime) + seconds(used.ru_stime));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

int main(int argc, char** argv) {
  const long delay = argc > 4 ? std::atol(argv[3]) : -1;
  if (delay < 0) {
    std::fprintf(stderr, "usage: %s FOLDER MOUNTPOINT MILLISECONDS COMMAND...\n", argv[0]);
    return 2;
  }
  View view(argv[1], argv[2], std::chrono::milliseconds(delay));
  return run(view, argv + 4);
}
