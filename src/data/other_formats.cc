#include "data/other_formats.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace ringfeed::data {
namespace {

using namespace std::string_view_literals;

// What torchvision lists besides .jpg, .jpeg and .png, and what lists of files hold.
constexpr std::array others{".ppm"sv, ".bmp"sv,  ".pgm"sv,  ".tif"sv,  ".tiff"sv, ".webp"sv,
                            ".gif"sv, ".avif"sv, ".heic"sv, ".heif"sv, ".jp2"sv,  ".jxl"sv};
constexpr std::size_t longest = 5;

}  // namespace

OtherFormats other_formats(const Index& index,
                           std::optional<std::span<const std::uint32_t>> entries) {
  OtherFormats found;
  std::string path, ending;
  const std::size_t count = entries ? entries->size() : index.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t entry = entries ? (*entries)[i] : i;
    index.relative_path(entry, path);
    const std::size_t dot = path.rfind('.');
    if (dot == path.npos || path.size() - dot > longest) continue;
    ending.assign(path, dot);
    for (char& c : ending) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (std::find(others.begin(), others.end(), ending) == others.end()) continue;
    if (found.counts.empty()) found.first = entry;
    ++found.counts[ending];
  }
  return found;
}

std::string OtherFormats::text() const {
  std::string all;
  for (const auto& [ending, count] : counts) {
    all += (all.empty() ? "" : ", ") + std::to_string(count) + " " + ending;
  }
  return all;
}

}  // namespace ringfeed::data
