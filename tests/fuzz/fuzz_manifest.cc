// A manifest of any content under a right checksum, which finds damage but not intent: it is
// refused, or can be read from end to end.
#include <fcntl.h>
#include <fuzzer/FuzzedDataProvider.h>
#include <unistd.h>
#include <xxhash.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "data/manifest.h"
#include "fuzz/attempt.h"

namespace {

using namespace ringfeed::data;

/// A file of this process, which goes with it.
struct Scratch {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("fuzz_manifest." + std::to_string(getpid()));
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ~Scratch() {
    close(fd);
    std::filesystem::remove(path);
  }
};

/// As src/data/manifest.cc: what stands behind the checksum, in three parts.
void set_checksum(std::vector<std::uint8_t>& file) {
  constexpr std::size_t checksum_at = 16, header_size = 56;
  if (file.size() < header_size) return;
  std::uint64_t sizes[4];
  std::memcpy(sizes, file.data() + 24, sizeof sizes);
  const std::uint64_t text = sizes[0] + sizes[2];
  if (sizes[0] > file.size() || sizes[2] > file.size() || text > file.size() - header_size) return;
  std::uint64_t sum = XXH3_64bits_withSeed(file.data() + 24, header_size - 24, 0);
  sum = XXH3_64bits_withSeed(file.data() + header_size, text, sum);
  sum =
      XXH3_64bits_withSeed(file.data() + header_size + text, file.size() - header_size - text, sum);
  std::memcpy(file.data() + checksum_at, &sum, sizeof sum);
}

void read_all(const Index& index) {
  std::string path;
  std::size_t sum = index.classes().size() + index.empty_classes().size() + index.memory_bytes();
  for (std::size_t i = 0; i < index.size(); ++i) {
    index.relative_path(i, path);
    sum += path.size() + static_cast<std::size_t>(index.label(i));
    sum += index.why_not_openable(i) != nullptr;
  }
  volatile std::size_t used = sum + index.fingerprint();
  static_cast<void>(used);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Scratch scratch;
  std::vector<std::uint8_t> file(data, data + size);
  set_checksum(file);
  if (ftruncate(scratch.fd, 0) != 0 ||
      pwrite(scratch.fd, file.data(), size, 0) != static_cast<ssize_t>(size)) {
    ringfeed::fuzz::fail("cannot write " + scratch.path.string());
  }
  Manifest manifest;
  if (load_manifest(scratch.path, manifest) != ManifestState::loaded) return 0;
  if (const auto index = Index::adopt("/root", std::move(manifest.index))) read_all(*index);
  return 0;
}
