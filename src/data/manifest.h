#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/index.h"
#include "data/scan.h"

namespace ringfeed::data {

/// A scan kept on disk, so that the next start on an unchanged tree lists nothing.
struct Manifest {
  std::string real_root;  ///< realpath of the tree it describes
  std::vector<Watched> watched;
  Bytes index;
};

enum class ManifestState : std::uint8_t { loaded, absent, damaged, foreign };

/// Reads `file`. Damaged: another version, a wrong size or checksum, or not readable. Foreign: a
/// user other than this one or root could have written it, and it decides which files become
/// samples.
ManifestState load_manifest(const std::filesystem::path& file, Manifest& manifest);

/// Writes `file` whole or not at all: a temporary beside it, synced, then renamed. Returns 0 or the
/// errno.
int save_manifest(const std::filesystem::path& file, const std::string& real_root,
                  const std::vector<Watched>& watched, const Bytes& index);

}  // namespace ringfeed::data
