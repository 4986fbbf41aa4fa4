#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/directory.h"
#include "data/index.h"

namespace ringfeed::data {

/// A path below the root on whose state the listing depended: every directory listed, and every
/// link that led nowhere (inode 0), since its target can appear while no directory changes.
struct Watched {
  std::string path;
  Stamp stamp;
};

struct Tree {
  Bytes index;
  std::vector<Watched> watched;
  std::uint64_t directories_listed = 0;
  /// No directory changed within 2 s of its listing. Time stamps are that coarse on some file
  /// systems: a later change could leave them as they are.
  bool settled = true;
  /// Why directory times do not tell that the tree has changed; empty where they do.
  std::string times_tell_nothing;
};

using Clock = std::int64_t (*)();  ///< nanoseconds since 1970

/// Lists the tree below the open directory `root`, shown to the user as `shown`, as
/// torchvision.datasets.ImageFolder does. Classes without images are kept. Throws LoadError (stage
/// scan): no class, a directory that cannot be listed, a link back into its own ancestors.
/// Calls `while_waiting`, if any, as ScanOptions says.
Tree scan_tree(int root, const std::string& shown, int threads, Clock now,
               const std::function<void()>& while_waiting);

enum class TreeState : std::uint8_t {
  unchanged,
  changed,  ///< one of the watched is no longer as it was
  untold,   ///< no directory time has changed, but they tell nothing: `why` says why
};
struct TreeVerdict {
  TreeState state;
  std::string why;
};

/// What has become of the tree. Stats, lists nothing.
TreeVerdict look_again(int root, const std::vector<Watched>& watched, int threads, Clock now,
                       const std::function<void()>& while_waiting);

}  // namespace ringfeed::data
