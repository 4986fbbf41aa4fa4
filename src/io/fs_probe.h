#pragma once

#include <string>
#include <string_view>

namespace ringfeed::io {

/// What a file system can do for asynchronous reads, found by asking it.
struct FsProbe {
  std::string type;           ///< "ext4", "overlay", "nfs", "lustre", "fuse", … or "0x…"
  bool nowait_reads = false;  ///< preadv2(RWF_NOWAIT) accepted; false: io_uring punts to io-wq
  bool direct_io = false;     ///< O_DIRECT opens
  std::string detail;         ///< errno text of a probe that failed; empty if none did
};

/// Probes with `file`, one that is to be read anyway. Never throws for I/O faults; says so in
/// `detail`. Blocking: call off the reader thread or at start only.
FsProbe probe_file_system(const std::string& file);

/// The name of a statfs magic number, or "0x…".
std::string file_system_name(unsigned long magic);

/// Whether opening a file under `root` may wait for more than this machine's memory even when the
/// name is cached: true for everything but local disk file systems and tmpfs, and when such a
/// mount lies below `root`. Blocks for one statfs.
bool opens_may_block(const std::string& root);

/// True if a file system that is not a local one is mounted at or below the absolute path `root`
/// in `mountinfo`, the text of /proc/self/mountinfo. What lies above `root` is not looked at.
bool remote_mount_below(std::string_view root, std::string_view mountinfo);

}  // namespace ringfeed::io
