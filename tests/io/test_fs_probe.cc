#include "engine_test.h"
#include "io/fs_probe.h"

namespace ringfeed::io {
namespace {

TEST_CASE("magic numbers have names; an unknown one is shown as it is") {
  CHECK(file_system_name(0xEF53) == "ext4");
  CHECK(file_system_name(0x0BD00BD0) == "lustre");
  CHECK(file_system_name(0x6969) == "nfs");
  CHECK(file_system_name(0x794C7630) == "overlay");
  CHECK(file_system_name(0xABCD) == "0xABCD");
}

TEST_CASE("a readable file tells its file system and no fault") {
  const TempDir dir;
  dir.write("file", "content");
  const FsProbe probe = probe_file_system(dir / "file");
  CHECK_FALSE(probe.type.empty());
  CHECK(probe.detail == "");
  if (probe.type == "ext4") {
    CHECK(probe.nowait_reads);
    CHECK(probe.direct_io);
  }
}

TEST_CASE("faults of a probe are told, not thrown") {
  const TempDir dir;
  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
  CHECK(probe_file_system(dir / "missing").detail == "open: No such file or directory");
  CHECK_FALSE(probe_file_system(dir.path()).nowait_reads);  // a directory
  const Deadline deadline(60);
  CHECK(probe_file_system(dir / "fifo").detail.find("Illegal seek") != std::string::npos);
}

TEST_CASE("mounts below a root count, those beside or above it do not") {
  const char* const mounts =
      "22 1 0:21 / / rw - overlay overlay rw\n"
      "30 22 8:1 / /data rw,relatime shared:1 - ext4 /dev/vda rw\n"
      "31 30 0:40 / /data/train/slow ro shared:2 master:1 - nfs4 server:/x ro\n"
      "32 30 0:41 / /data/trained rw - lustre x rw\n"
      "33 30 0:42 / /data/local/tmp rw - tmpfs tmpfs rw\n";
  CHECK(remote_mount_below("/data/train", mounts));
  CHECK(remote_mount_below("/data/train/", mounts));
  CHECK(remote_mount_below("/data/train/slow", mounts));
  CHECK(remote_mount_below("/data", mounts));
  CHECK_FALSE(remote_mount_below("/data/train/slow/deep", mounts));  // its own statfs tells
  CHECK_FALSE(remote_mount_below("/data/tra", mounts));
  CHECK_FALSE(remote_mount_below("/data/local", mounts));
  CHECK(remote_mount_below("/", mounts));
  CHECK_FALSE(remote_mount_below("/data", ""));
}

TEST_CASE("opens may block wherever it is not known that they do not") {
  CHECK(opens_may_block("/nonexistent"));
  CHECK(opens_may_block(""));
  const TempDir dir;
  dir.write("file", "content");
  const std::string type = probe_file_system(dir / "file").type;
  if (type == "ext4" || type == "xfs" || type == "tmpfs") CHECK_FALSE(opens_may_block(dir.path()));
  if (type == "overlay") CHECK(opens_may_block(dir.path()));
}

}  // namespace
}  // namespace ringfeed::io
