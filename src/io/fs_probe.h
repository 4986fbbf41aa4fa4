#pragma once

#include <string>

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

}  // namespace ringfeed::io
