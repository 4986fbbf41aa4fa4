#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringfeed {

namespace data {
class Index;
}

struct ScanOptions {
  bool allow_empty = false;
  /// Manifest cache: a second start on an unchanged tree lists nothing. Whether it has changed is
  /// told by the times of its directories; where these tell nothing (on FUSE, in the future, all
  /// the same) it is listed at every start.
  bool use_cache = true;
  /// With use_cache: a manifest there too. It is believed as it is until its file is removed.
  bool always_use_cache = false;
  /// Empty: $RINGFEED_CACHE_DIR, else $XDG_CACHE_HOME/ringfeed, else ~/.cache/ringfeed.
  std::filesystem::path cache_dir{};
  /// Directories listed at once; 0: 16 (a listing is a network round trip, not CPU).
  int threads = 0;
  /// Called about every 100 ms on the thread that called open(), while directories are listed or
  /// another process's listing is waited for; after each directory, where no thread can be started.
  /// May throw: open() drops what it has not listed yet and passes it on.
  std::function<void()> while_waiting{};
};

struct ScanReport {
  bool from_cache = false;
  std::uint64_t directories_listed = 0;
  double seconds = 0;
  /// Why directory times do not tell whether the tree has changed, so that only always_use_cache
  /// keeps a manifest; empty where they tell, or were not looked at.
  std::string times_tell_nothing;
  std::filesystem::path manifest;     ///< that was loaded or written; empty for none
  std::vector<std::string> warnings;  ///< a damaged manifest, an unwritable cache directory, …
};

/// A folder of class folders of images, in torchvision.datasets.ImageFolder's order and with its
/// class ids. Immutable and cheap to copy (shared); every member may be called from any thread.
///
/// @code
/// const auto train = ringfeed::ImageFolder::open("imagenet/train");
/// for (const std::string& warning : train.report().warnings) std::cerr << warning << "\n";
/// std::cout << train.size() << " images of " << train.classes().size() << " classes, from "
///           << train.path(0) << " on\n";
/// @endcode
class ImageFolder {
 public:
  /// Scans `root` (or loads its manifest). Throws LoadError (stage scan) naming what is wrong.
  static ImageFolder open(const std::filesystem::path& root, const ScanOptions& options = {});

  /// Files named one by one, in the order given; nothing is listed. `paths` are opened, and named
  /// in errors, as they stand. `root` empty, or not the start of every path: the folder they have
  /// in common, empty where that is the working directory. `classes` empty: labels may be any
  /// number, else in [0, classes.size()). With an ImageFolder's root, classes and samples the
  /// fingerprint equals that of open(root). Throws std::invalid_argument for lists of unequal
  /// length, an empty path, a NUL byte, a label out of range.
  static ImageFolder from_samples(const std::string& root, std::span<const std::string> classes,
                                  std::span<const std::string> paths,
                                  std::span<const std::int64_t> labels);

  std::size_t size() const noexcept;
  std::span<const std::string> classes() const noexcept;
  std::int64_t label(std::size_t index) const noexcept;
  /// root/class/…/name, as torchvision's `samples` gives it.
  std::string path(std::size_t index) const;
  const std::string& root() const noexcept;
  /// Hash of classes, names, labels and order, the root left out: equal on every machine that sees
  /// the same tree.
  std::uint64_t fingerprint() const noexcept;
  /// Bytes the index holds in memory.
  std::size_t memory_bytes() const noexcept;
  const ScanReport& report() const noexcept;

  /// For the loader.
  const data::Index& index() const noexcept { return *index_; }

 private:
  explicit ImageFolder(std::shared_ptr<const data::Index> index) : index_(std::move(index)) {}
  std::shared_ptr<const data::Index> index_;
};

}  // namespace ringfeed
