#include "data/open_index.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include "base/file_descriptor.h"
#include "base/printable.h"
#include "data/manifest.h"
#include "data/time_trust.h"
#include "ringfeed/error.h"

namespace ringfeed::data {
namespace {

constexpr int default_threads = 16;

FileDescriptor open_root(const std::string& root) {
  FileDescriptor fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    throw LoadError(Error{
        Stage::scan, errno, root,
        "looked for a folder with one folder of images per class, such as " + root + "/cat/1.jpg"});
  }
  return fd;
}

/// One opening of one tree, with what its report will say.
class Opening {
 public:
  Opening(std::string root, const ScanOptions& options, Clock now,
          std::chrono::milliseconds longest_wait)
      : root_(std::move(root)),
        fd_(open_root(root_)),
        threads_(options.threads == 0 ? default_threads : options.threads),
        while_waiting_(options.while_waiting),
        always_(options.always_use_cache),
        now_(now),
        longest_wait_(longest_wait) {}

  Index run(const ScanOptions& options) {
    if (!options.use_cache) return scan(nullptr);
    const std::filesystem::path cache = cache_directory(options);
    const std::optional<std::filesystem::path> file = usable(cache);
    if (!file) return scan(nullptr);
    if (!always_) {
      // Before the lock: nobody will write what others could wait for.
      if (!TrustedDevices(fd_.get()).tell(find(fd_.get(), "").device, "")) return scan(nullptr);
    }
    if (auto index = load(*file, Warn::no)) return std::move(*index);
    if (!always_ && !report_.times_tell_nothing.empty()) return scan(nullptr);

    const FileDescriptor lock = take_lock(*file);
    // Another process may have written it meanwhile.
    if (auto index = load(*file, Warn::yes)) return std::move(*index);
    return scan(&*file);
  }

  ScanReport take_report() { return std::move(report_); }

 private:
  enum class Warn : std::uint8_t { no, yes };

  void warn(const std::string& text) { report_.warnings.push_back(printable(text)); }

  /// The manifest's file, once its directory is there; nothing, and a warning, where it cannot be.
  std::optional<std::filesystem::path> usable(const std::filesystem::path& cache) {
    if (cache.empty()) {
      warn(
          "no place for the manifest cache: neither RINGFEED_CACHE_DIR, XDG_CACHE_HOME nor HOME "
          "is set; the folder is listed at every start");
      return std::nullopt;
    }
    std::error_code error;
    std::filesystem::create_directories(cache, error);
    if (!error) real_root_ = std::filesystem::canonical(root_, error).string();
    if (error) {
      warn("manifest cache " + cache.string() + " cannot be used: " + error.message() +
           "; the folder is listed at every start");
      return std::nullopt;
    }
    return manifest_file(cache, real_root_);
  }

  /// Nothing where there is no manifest, none that can be believed, or the folder has changed
  /// since.
  std::optional<Index> load(const std::filesystem::path& file, Warn warn_if_damaged) {
    Manifest manifest;
    const ManifestState state = load_manifest(file, manifest);
    if (state == ManifestState::absent) return std::nullopt;
    if (state == ManifestState::loaded && manifest.real_root == real_root_) {
      TreeVerdict now = look_again(fd_.get(), manifest.watched, threads_, now_, while_waiting_);
      report_.times_tell_nothing = std::move(now.why);
      const bool believed =
          now.state == TreeState::unchanged || (now.state == TreeState::untold && always_);
      if (!believed) return std::nullopt;
      if (auto index = Index::adopt(root_, std::move(manifest.index))) {
        report_.from_cache = true;
        report_.manifest = file;
        return index;
      }
    }
    if (warn_if_damaged == Warn::yes) {
      warn("manifest " + file.string() +
           (state == ManifestState::foreign ? " could have been written by another user"
                                            : " is unreadable, damaged or of another version") +
           "; listing the folder again");
    }
    return std::nullopt;
  }

  /// flock() itself waits without end, so it is asked again and again. Whoever had to wait goes on
  /// without the lock: it loads what the holder wrote, and where that one could write nothing, all
  /// who waited scan together and not one after another.
  FileDescriptor take_lock(const std::filesystem::path& file) {
    const std::string name = file.string() + ".lock";
    FileDescriptor lock(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock) return lock;  // the directory is not writable: saving will say so
    if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
    const auto limit = std::chrono::steady_clock::now() + longest_wait_;
    while (errno == EWOULDBLOCK) {
      if (std::chrono::steady_clock::now() >= limit) {
        warn("another process has held " + name + " for " +
             std::to_string(longest_wait_.count() / 1000) +
             " s; listing the folder without waiting for it");
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      if (while_waiting_) while_waiting_();
      if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) break;
    }
    return FileDescriptor();
  }

  Index scan(const std::filesystem::path* file) {
    Tree tree = scan_tree(fd_.get(), root_, threads_, now_, while_waiting_);
    report_.directories_listed = tree.directories_listed;
    report_.times_tell_nothing = std::move(tree.times_tell_nothing);
    const bool told = report_.times_tell_nothing.empty();
    if (file != nullptr && (told ? tree.settled : always_)) {
      const int code = save_manifest(*file, real_root_, tree.watched, tree.index);
      if (code != 0) {
        warn("cannot write manifest " + file->string() + ": " + std::strerror(code) +
             "; the folder is listed at every start");
      } else {
        report_.manifest = *file;
      }
    }
    auto index = Index::adopt(root_, std::move(tree.index));
    if (!index) throw std::logic_error("a fresh index is inconsistent");
    return std::move(*index);
  }

  const std::string root_;
  const FileDescriptor fd_;
  const int threads_;
  const std::function<void()>& while_waiting_;
  const bool always_;
  const Clock now_;
  const std::chrono::milliseconds longest_wait_;
  std::string real_root_;
  ScanReport report_;
};

void refuse_empty_classes(const Index& index) {
  const std::vector<std::string> empty = index.empty_classes();
  if (empty.empty()) return;
  constexpr std::size_t shown = 10;
  std::string names;
  for (std::size_t i = 0; i < empty.size() && i < shown; ++i) {
    names += (i > 0 ? ", " : "") + empty[i];
  }
  if (empty.size() > shown) names += " and " + std::to_string(empty.size() - shown) + " more";
  throw LoadError(Error{Stage::scan, 0, index.root(),
                        "no image found for the classes " + names +
                            "; images end in .jpg, .jpeg, .png, .ppm, .bmp, .pgm, .tif, .tiff or "
                            ".webp",
                        Option::allow_empty});
}

/// A warning where every class is named as a part of a dataset is.
std::optional<std::string> mistaken_for_classes(const Index& index) {
  constexpr std::array<std::string_view, 8> parts{"train",      "training",   "val",  "valid",
                                                  "validation", "validating", "test", "testing"};
  std::string names;
  for (const std::string& name : index.classes()) {
    if (std::ranges::find(parts, name) == parts.end()) return std::nullopt;
    names += (names.empty() ? "" : ", ") + name;
  }
  const std::string& first = index.classes().front();
  return index.root() + " has the folders " + names +
         ", which are taken for classes; if they are the parts of a dataset, give one of "
         "them, such as " +
         (std::filesystem::path(index.root()) / first).string();
}

}  // namespace

std::filesystem::path cache_directory(const ScanOptions& options) {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  if (!options.cache_dir.empty()) return options.cache_dir;
  if (const auto own = variable("RINGFEED_CACHE_DIR"); !own.empty()) return own;
  // The XDG specification: a relative path is to be ignored.
  if (const auto xdg = variable("XDG_CACHE_HOME"); xdg.is_absolute()) return xdg / "ringfeed";
  if (const auto home = variable("HOME"); !home.empty()) return home / ".cache" / "ringfeed";
  return {};
}

std::filesystem::path manifest_file(const std::filesystem::path& cache,
                                    const std::string& real_root) {
  char name[32];
  std::snprintf(name, sizeof(name), "%016llx.manifest",
                static_cast<unsigned long long>(XXH3_64bits(real_root.data(), real_root.size())));
  return cache / name;
}

std::shared_ptr<const Index> open_index(const std::filesystem::path& root,
                                        const ScanOptions& options, Clock now,
                                        std::chrono::milliseconds longest_wait) {
  if (options.threads < 0 || options.threads > 1024) {
    throw std::invalid_argument("ScanOptions: threads must be in [0, 1024]");
  }
  const auto start = std::chrono::steady_clock::now();
  Opening opening(root.string(), options, now, longest_wait);
  auto index = std::make_shared<Index>(opening.run(options));
  if (!options.allow_empty) refuse_empty_classes(*index);
  ScanReport report = opening.take_report();
  if (auto warning = mistaken_for_classes(*index)) report.warnings.push_back(std::move(*warning));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  index->set_report(std::move(report));
  return index;
}

}  // namespace ringfeed::data
