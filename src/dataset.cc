#include "ringfeed/dataset.h"

#include <chrono>

#include "data/index.h"
#include "data/open_index.h"
#include "data/samples_index.h"

namespace ringfeed {
namespace {

std::int64_t wall_clock() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

}  // namespace

ImageFolder ImageFolder::open(const std::filesystem::path& root, const ScanOptions& options) {
  return ImageFolder(data::open_index(root, options, wall_clock));
}

ImageFolder ImageFolder::from_samples(const std::string& root, std::span<const std::string> classes,
                                      std::span<const std::string> paths,
                                      std::span<const std::int64_t> labels) {
  return ImageFolder(data::samples_index(root, classes, paths, labels));
}

std::size_t ImageFolder::size() const noexcept { return index_->size(); }
std::span<const std::string> ImageFolder::classes() const noexcept { return index_->classes(); }
std::int64_t ImageFolder::label(std::size_t index) const noexcept { return index_->label(index); }
std::string ImageFolder::path(std::size_t index) const { return index_->path(index); }
const std::string& ImageFolder::root() const noexcept { return index_->root(); }
std::uint64_t ImageFolder::fingerprint() const noexcept { return index_->fingerprint(); }
std::size_t ImageFolder::memory_bytes() const noexcept { return index_->memory_bytes(); }
const ScanReport& ImageFolder::report() const noexcept { return index_->report(); }

}  // namespace ringfeed
