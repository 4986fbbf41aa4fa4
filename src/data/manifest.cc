#include "data/manifest.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <random>
#include <string_view>
#include <utility>

#include "base/file_descriptor.h"
#include "base/retry.h"
#include "data/directory.h"

namespace ringfeed::data {
namespace {

constexpr char magic[8] = {'r', 'i', 'n', 'g', 'f', 'e', 'e', 'd'};
// Raised whenever the file or the packed index changes its form.
constexpr std::uint64_t version = 1;

// In the byte order and for the word size of the machine: a cache is not for exchange. The file is
// this header, the real root, the watched paths, the index. The checksum covers what stands after
// it; the fields before it are compared as they are.
struct Header {
  char magic[8];
  std::uint64_t version;
  std::uint64_t checksum;
  std::uint64_t root_bytes;
  std::uint64_t watched_count;
  std::uint64_t watched_bytes;
  std::uint64_t index_bytes;
};
constexpr std::size_t checked_from = offsetof(Header, root_bytes);

// One watched path: this, then its characters.
struct WatchedRecord {
  Stamp stamp;
  std::uint64_t path_bytes;
};

std::uint64_t checksum(const Header& header, std::string_view text, const Bytes& index) {
  const auto seeded = [](std::uint64_t seed, const void* data, std::size_t size) {
    return XXH3_64bits_withSeed(data, size, seed);
  };
  const auto* checked = reinterpret_cast<const char*>(&header) + checked_from;
  std::uint64_t sum = seeded(0, checked, sizeof(header) - checked_from);
  sum = seeded(sum, text.data(), text.size());
  return seeded(sum, index.data.get(), index.size);
}

bool read_all(int fd, void* to, std::size_t size) {
  auto* at = static_cast<char*>(to);
  while (size > 0) {
    const auto n = retry_interrupted([&] { return read(fd, at, size); });
    if (n <= 0) return false;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

bool write_all(int fd, const void* from, std::size_t size) {
  const auto* at = static_cast<const char*>(from);
  while (size > 0) {
    const auto n = retry_interrupted([&] { return write(fd, at, size); });
    if (n < 0) return false;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

bool parse_watched(std::string_view text, std::uint64_t count, std::vector<Watched>& watched) {
  watched.clear();
  for (std::uint64_t i = 0; i < count; ++i) {
    WatchedRecord record;
    if (text.size() < sizeof(record)) return false;
    std::memcpy(&record, text.data(), sizeof(record));
    text.remove_prefix(sizeof(record));
    if (record.path_bytes > text.size()) return false;
    watched.push_back({std::string(text.substr(0, record.path_bytes)), record.stamp});
    text.remove_prefix(record.path_bytes);
  }
  return text.empty();
}

/// The checksum finds damage, not intent: in a shared cache directory anyone can compute it.
bool foreign(const struct stat& status) {
  return (status.st_uid != geteuid() && status.st_uid != 0) ||
         (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

bool write_and_sync(int fd, const Header& header, std::string_view text, const Bytes& index) {
  return write_all(fd, &header, sizeof(header)) && write_all(fd, text.data(), text.size()) &&
         write_all(fd, index.data.get(), index.size) && fsync(fd) == 0;
}

}  // namespace

ManifestState load_manifest(const std::filesystem::path& file, Manifest& manifest) {
  const FileDescriptor fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return errno == ENOENT ? ManifestState::absent : ManifestState::damaged;
  struct stat status;
  Header header;
  if (fstat(fd.get(), &status) != 0) return ManifestState::damaged;
  if (foreign(status)) return ManifestState::foreign;
  if (!read_all(fd.get(), &header, sizeof(header)) ||
      std::memcmp(header.magic, magic, sizeof(magic)) != 0 || header.version != version) {
    return ManifestState::damaged;
  }
  // Each bounded by the file before they are added up, so that the sum cannot wrap.
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (header.root_bytes > size || header.watched_bytes > size || header.index_bytes > size ||
      sizeof(header) + header.root_bytes + header.watched_bytes + header.index_bytes != size) {
    return ManifestState::damaged;
  }
  std::string text(header.root_bytes + header.watched_bytes, '\0');
  manifest.index = Bytes::uninitialised(header.index_bytes);
  if (!read_all(fd.get(), text.data(), text.size()) ||
      !read_all(fd.get(), manifest.index.data.get(), manifest.index.size) ||
      checksum(header, text, manifest.index) != header.checksum) {
    return ManifestState::damaged;
  }
  manifest.real_root = text.substr(0, header.root_bytes);
  const auto watched = std::string_view(text).substr(header.root_bytes);
  return parse_watched(watched, header.watched_count, manifest.watched) ? ManifestState::loaded
                                                                        : ManifestState::damaged;
}

int save_manifest(const std::filesystem::path& file, const std::string& real_root,
                  const std::vector<Watched>& watched, const Bytes& index) {
  std::string text = real_root;
  for (const Watched& item : watched) {
    const WatchedRecord record{item.stamp, item.path.size()};
    text.append(reinterpret_cast<const char*>(&record), sizeof(record)).append(item.path);
  }
  Header header{};
  std::memcpy(header.magic, magic, sizeof(magic));
  header.version = version;
  header.root_bytes = real_root.size();
  header.watched_count = watched.size();
  header.watched_bytes = text.size() - real_root.size();
  header.index_bytes = index.size;
  header.checksum = checksum(header, text, index);

  // As readable as the umask allows, which mkstemp would not ask: in a shared cache directory
  // everybody may load what root has listed (nobody another user's, see foreign()).
  std::random_device random;
  const std::string temporary =
      file.string() + "." + std::to_string(random()) + std::to_string(random());
  const FileDescriptor fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!fd) return errno;
  if (!write_and_sync(fd.get(), header, text, index) ||
      rename(temporary.c_str(), file.c_str()) != 0) {
    const int code = errno;
    unlink(temporary.c_str());
    return code;
  }
  return 0;
}

}  // namespace ringfeed::data
