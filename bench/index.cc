// What an index of ImageNet's size costs: memory, loading its manifest, one epoch's permutation.
//   meson setup build -Dbenchmarks=true && ninja -C build && build/bench/bench_index
// The names are made up and only the 1,000 class directories exist, which is all that a start from
// a manifest touches. Each figure stands beside a baseline taken in turn with it.

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/file_descriptor.h"
#include "data/epoch_order.h"
#include "data/manifest.h"
#include "data/open_index.h"

namespace {

namespace fs = std::filesystem;
using namespace ringfeed::data;

constexpr std::uint32_t class_count = 1000;
constexpr std::uint64_t image_count = 1'281'167;
constexpr int rounds = 11;

std::int64_t after_settling() {
  const auto time = std::chrono::system_clock::now() + std::chrono::hours(1);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

std::string class_name(std::uint32_t c) {
  std::string name = "n";
  return name += std::to_string(10'000'000 + c);
}

Bytes imagenet() {
  IndexBuilder builder;
  for (std::uint32_t c = 0; c < class_count; ++c) builder.add_class(class_name(c));
  for (std::uint32_t c = 0; c < class_count; ++c) {
    builder.add_directory(builder.add_prefix(class_name(c) + "/"), c);
    const std::uint64_t end = image_count * (c + 1) / class_count;
    for (std::uint64_t i = image_count * c / class_count; i < end; ++i) {
      builder.add_entry(class_name(c) + "_" + std::to_string(i % 100'000) + ".JPEG");
    }
  }
  return builder.finish();
}

/// A root with the class directories, and the manifest a scan of the whole would have left.
void prepare(const fs::path& root, const fs::path& cache) {
  std::vector<Watched> watched;
  for (std::uint32_t c = 0; c < class_count; ++c) fs::create_directories(root / class_name(c));
  const ringfeed::FileDescriptor fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  watched.push_back({"", find(fd.get(), "").stamp});
  for (std::uint32_t c = 0; c < class_count; ++c) {
    watched.push_back({class_name(c), find(fd.get(), class_name(c)).stamp});
  }
  fs::create_directories(cache);
  const std::string real = fs::canonical(root).string();
  save_manifest(manifest_file(cache, real), real, watched, imagenet());
}

double milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
}

void compare(const char* name, const std::function<void()>& ours, const char* baseline_name,
             const std::function<void()>& baseline) {
  std::vector<double> a, b;
  for (int i = 0; i < rounds; ++i) {
    a.push_back(milliseconds(ours));
    b.push_back(milliseconds(baseline));
  }
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  std::printf("%-22s %7.1f ms (%.1f-%.1f)   %-28s %7.1f ms (%.1f-%.1f)   ratio %.2f\n", name,
              a[rounds / 2], a.front(), a.back(), baseline_name, b[rounds / 2], b.front(), b.back(),
              a[rounds / 2] / b[rounds / 2]);
}

}  // namespace

int main() {
  std::string directory = (fs::temp_directory_path() / "ringfeed-bench.XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return 1;
  const fs::path root = fs::path(directory) / "root", cache = fs::path(directory) / "cache";
  prepare(root, cache);
  ringfeed::ScanOptions options;
  options.cache_dir = cache;

  const auto index = open_index(root, options, after_settling);
  if (!index->report().from_cache || index->size() != image_count) return 1;
  std::size_t strings = image_count * sizeof(std::string);
  for (std::size_t i = 0; i < index->size(); ++i) strings += index->path(i).size() + 1;
  std::printf("%-22s %7.1f MB               %-28s %7.1f MB               ratio %.2f\n",
              "index in memory", static_cast<double>(index->memory_bytes()) / 1e6,
              "vector<string> of paths", static_cast<double>(strings) / 1e6,
              static_cast<double>(index->memory_bytes()) / static_cast<double>(strings));

  const fs::path manifest = manifest_file(cache, fs::canonical(root).string());
  std::vector<char> buffer(fs::file_size(manifest));
  compare(
      "start from manifest", [&] { open_index(root, options, after_settling); },
      "reading the same bytes",
      [&] {
        std::ifstream(manifest, std::ios::binary)
            .read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
      });

  std::vector<std::uint32_t> shuffled(image_count);
  compare(
      "epoch order", [] { EpochOrder(image_count, {}, {}); }, "std::shuffle, mt19937_64",
      [&] {
        std::iota(shuffled.begin(), shuffled.end(), 0u);
        std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937_64(1));
      });
  fs::remove_all(directory);
  return 0;
}
