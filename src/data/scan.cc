#include "data/scan.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <numeric>
#include <optional>
#include <system_error>
#include <utility>

#include "base/file_descriptor.h"
#include "base/mutex.h"
#include "base/printable.h"
#include "base/work_queue.h"
#include "data/name_order.h"
#include "data/stalls.h"
#include "data/time_trust.h"

namespace ringfeed::data {
namespace {

/// The directories on the way down, by identity: meeting one again is a loop.
struct Ancestor {
  std::uint64_t device, inode;
  std::shared_ptr<const Ancestor> parent;
};
using AncestorPtr = std::shared_ptr<const Ancestor>;

struct ToList {
  std::string path;
  std::uint32_t label;
  AncestorPtr parent;
};

/// A directory's images, sorted; names end in NUL, as the index will keep them. Strings one by one
/// would cost three times the index while the scan lasts.
struct Images {
  std::string path;
  std::uint32_t label;
  std::string names;
  std::vector<std::string> special;  // those of the names that are no regular files, sorted
};

std::string join(const std::string& directory, const std::string& name) {
  if (directory.empty()) return name;
  return directory.ends_with('/') ? directory + name : directory + '/' + name;
}

AncestorPtr descend(AncestorPtr parent, const Listing& listing, const std::string& shown) {
  for (const Ancestor* a = parent.get(); a != nullptr; a = a->parent.get()) {
    if (a->device == listing.device && a->inode == listing.stamp.inode) {
      throw LoadError(Error{Stage::scan, 0, shown,
                            "a link back to a directory above it: following it would never end"});
    }
  }
  return std::make_shared<Ancestor>(
      Ancestor{listing.device, listing.stamp.inode, std::move(parent)});
}

FileDescriptor duplicate(int fd) {
  FileDescriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) throw std::system_error(errno, std::generic_category(), "dup");
  return copy;
}

std::vector<Stamp> stamps_of(const std::vector<Watched>& watched) {
  std::vector<Stamp> stamps;
  stamps.reserve(watched.size());
  for (const Watched& item : watched) stamps.push_back(item.stamp);
  return stamps;
}

/// Owned by its threads too: where the caller gives up, one that hangs in a file system that does
/// not answer is left behind.
class Scan : public std::enable_shared_from_this<Scan> {
 public:
  Scan(int root, std::string shown, Clock now)
      : root_(duplicate(root)), shown_(std::move(shown)), now_(now) {}

  Tree run(int threads, const std::function<void()>& caller_waits) {
    const auto while_waiting = [this, &caller_waits] {
      tell_of_stalls();
      if (caller_waits) caller_waits();
    };
    const auto own = shared_from_this();
    WorkQueue<int>("rf-scan", {0})
        .run(1, [own](int) { own->listing_of_root_ = own->list(""); }, while_waiting);
    const Listing listing = std::move(listing_of_root_);
    const AncestorPtr ancestor = descend(nullptr, listing, shown_);
    std::vector<std::string> classes;
    for (const DirectoryEntry& entry : listing.entries) {
      if (entry.kind == EntryKind::directory) classes.push_back(entry.name);
      if (entry.kind == EntryKind::dangling) watch(entry.name, {});
    }
    if (classes.empty()) {
      throw LoadError(Error{Stage::scan, 0, shown_,
                            "no class folder found; expected one folder per class with its images "
                            "below, such as " +
                                join(shown_, "cat/1.jpg")});
    }
    std::sort(classes.begin(), classes.end(), python_less);

    std::vector<ToList> first;
    first.reserve(classes.size());
    for (std::size_t c = 0; c < classes.size(); ++c) {
      first.push_back({classes[c], static_cast<std::uint32_t>(c), ancestor});
    }
    WorkQueue<ToList> queue("rf-scan", std::move(first));
    queue.run(
        threads, [own, queue](ToList directory) { own->visit(std::move(directory), queue); },
        while_waiting);
    const MutexLock lock(mutex_);  // waits for nobody: the threads are done
    // Threads finish in any order; the same tree is to give the same manifest.
    std::sort(tree_.watched.begin(), tree_.watched.end(),
              [](const Watched& a, const Watched& b) { return a.path < b.path; });
    if (tree_.times_tell_nothing.empty()) {
      tree_.times_tell_nothing = why_times_tell_nothing(stamps_of(tree_.watched), now_());
    }
    tree_.index = pack(classes);
    return std::move(tree_);
  }

 private:
  Listing list(const std::string& path) {
    {
      const MutexLock lock(mutex_);
      stalls_.begin(path, std::chrono::steady_clock::now());
    }
    Listing listing = list_directory(root_.get(), path, path.empty() ? shown_ : join(shown_, path));
    {
      const MutexLock lock(mutex_);
      stalls_.end(path);
    }
    constexpr std::int64_t settling_ns = 2'000'000'000;
    const std::int64_t changed = std::max(listing.stamp.mtime_ns, listing.stamp.ctime_ns);
    const bool settled = now_() - changed >= settling_ns;
    watch(path, listing.stamp);
    const bool told = devices_.tell(listing.device, path);
    const MutexLock lock(mutex_);
    if (!told) tree_.times_tell_nothing = made_up_times;
    tree_.settled = tree_.settled && settled;
    ++tree_.directories_listed;
    return listing;
  }

  void tell_of_stalls() {
    std::optional<std::string> said;
    {
      const MutexLock lock(mutex_);
      said = stalls_.report(std::chrono::steady_clock::now());
    }
    if (!said) return;
    std::fprintf(stderr, "ringfeed: listing %s: %s\n", printable(shown_).c_str(),
                 printable(*said).c_str());
  }

  void watch(const std::string& path, const Stamp& stamp) {
    const MutexLock lock(mutex_);
    tree_.watched.push_back({path, stamp});
  }

  void visit(ToList directory, WorkQueue<ToList> queue) {
    const Listing listing = list(directory.path);
    const AncestorPtr ancestor =
        descend(std::move(directory.parent), listing, join(shown_, directory.path));
    std::vector<const DirectoryEntry*> images;
    for (const DirectoryEntry& entry : listing.entries) {
      if (entry.kind == EntryKind::dangling) watch(join(directory.path, entry.name), {});
      if (entry.kind == EntryKind::directory) {
        queue.push({join(directory.path, entry.name), directory.label, ancestor});
      } else if (has_image_extension(entry.name)) {
        images.push_back(&entry);
      }
    }
    if (images.empty()) return;
    std::sort(images.begin(), images.end(),
              [](const auto* a, const auto* b) { return python_less(a->name, b->name); });
    Images found{std::move(directory.path), directory.label, {}, {}};
    for (const DirectoryEntry* image : images) {
      found.names.append(image->name).push_back('\0');
      if (image->kind == EntryKind::special) found.special.push_back(image->name);
    }
    const MutexLock lock(mutex_);
    images_.push_back(std::move(found));
  }

  Bytes pack(const std::vector<std::string>& classes) REQUIRES(mutex_) {
    // torchvision sorts what os.walk yields by the directory's whole path, '/' counting as a
    // character: "a-b" comes before "a/b".
    std::sort(images_.begin(), images_.end(), [](const Images& a, const Images& b) {
      return a.label != b.label ? a.label < b.label : python_less(a.path, b.path);
    });
    IndexBuilder builder;
    for (const std::string& name : classes) builder.add_class(name);
    for (Images& images : images_) {
      builder.add_directory(builder.add_prefix(images.path + '/'), images.label);
      auto special = images.special.begin();
      for (std::size_t at = 0; at < images.names.size();) {
        const std::string_view name = images.names.data() + at;
        const bool regular = special == images.special.end() || *special != name;
        if (!regular) ++special;
        builder.add_entry(name, regular);
        at += name.size() + 1;
      }
      images = {};
    }
    return builder.finish();
  }

  const FileDescriptor root_;
  const std::string shown_;
  const Clock now_;
  Listing listing_of_root_;  // of the one thread that lists it
  TrustedDevices devices_{root_.get()};
  Mutex mutex_;
  Stalls stalls_ GUARDED_BY(mutex_);
  Tree tree_ GUARDED_BY(mutex_);
  std::vector<Images> images_ GUARDED_BY(mutex_);
};

}  // namespace

Tree scan_tree(int root, const std::string& shown, int threads, Clock now,
               const std::function<void()>& while_waiting) {
  return std::make_shared<Scan>(root, shown, now)->run(threads, while_waiting);
}

TreeVerdict look_again(int root, const std::vector<Watched>& watched, int threads, Clock now,
                       const std::function<void()>& while_waiting) {
  // The threads' own, as Scan is.
  struct Check {
    FileDescriptor root;
    std::vector<Watched> watched;
    TrustedDevices devices{root.get()};
    std::atomic<bool> changed = false, untold = false;
  };
  const auto check = std::make_shared<Check>(duplicate(root), watched);
  std::vector<std::size_t> items(watched.size());
  std::iota(items.begin(), items.end(), std::size_t{0});
  WorkQueue<std::size_t> queue("rf-scan", std::move(items));
  queue.run(
      threads,
      [check](std::size_t i) {
        const Watched& item = check->watched[i];
        if (check->changed.load()) return;
        const Found found = find(check->root.get(), item.path);
        if (found.stamp.inode != 0 && !check->devices.tell(found.device, item.path)) {
          check->untold.store(true);
        } else if (found.stamp != item.stamp) {
          check->changed.store(true);
        }
      },
      while_waiting);
  if (check->changed.load()) return {TreeState::changed, ""};
  if (check->untold.load()) return {TreeState::untold, std::string(made_up_times)};
  const std::string_view why = why_times_tell_nothing(stamps_of(watched), now());
  return {why.empty() ? TreeState::unchanged : TreeState::untold, std::string(why)};
}

}  // namespace ringfeed::data
