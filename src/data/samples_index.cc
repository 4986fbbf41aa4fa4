#include "data/samples_index.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace ringfeed::data {
namespace {

void require(bool condition, const std::string& what) {
  if (!condition) throw std::invalid_argument("ImageFolder::from_samples: " + what);
}

bool holds_nul(std::string_view text) { return text.find('\0') != text.npos; }

/// What stands before the name, its '/' included. A '/' at the very end belongs to the name, so
/// that no name is empty.
std::string_view directory_of(std::string_view path) {
  const std::size_t last = path.find_last_not_of('/');
  const std::size_t slash = last == path.npos ? path.npos : path.rfind('/', last);
  return slash == path.npos ? std::string_view() : path.substr(0, slash + 1);
}

/// Whether `path` is `start` ("root/") and a path relative to it. "root//x" is not: opened below
/// the root, "/x" would be another file.
bool below(std::string_view path, std::string_view start) {
  return path.size() > start.size() && path.starts_with(start) &&
         (start.empty() || path[start.size()] != '/');
}

bool all_below(std::span<const std::string> paths, std::string_view start) {
  return std::ranges::all_of(paths, [&](const std::string& path) { return below(path, start); });
}

/// The longest start of whole components, '/' at its end, that all paths are below; may be empty.
std::string_view common_start(std::span<const std::string> paths) {
  if (paths.empty()) return {};
  std::string_view common = directory_of(paths.front());
  for (const std::string& path : paths) {
    const std::string_view directory = directory_of(path);
    const auto differ = std::ranges::mismatch(common, directory);
    common = common.substr(0, static_cast<std::size_t>(differ.in1 - common.begin()));
  }
  do {
    const std::size_t slash = common.rfind('/');
    common = slash == common.npos ? std::string_view() : common.substr(0, slash + 1);
    if (all_below(paths, common)) return common;
    common.remove_suffix(1);
  } while (true);
}

/// "data/" -> "data"; "/" and "data//" stay, or joining a path to them would give another.
std::string root_of(std::string_view start) {
  const std::string_view shorter = start.substr(0, start.empty() ? 0 : start.size() - 1);
  return std::string(shorter.empty() || shorter.ends_with('/') ? start : shorter);
}

void validate(const std::string& root, std::span<const std::string> classes,
              std::span<const std::string> paths, std::span<const std::int64_t> labels) {
  require(paths.size() == labels.size(), std::to_string(paths.size()) + " paths, but " +
                                             std::to_string(labels.size()) + " labels");
  require(!holds_nul(root), "root holds a NUL byte");
  require(std::ranges::none_of(classes, holds_nul), "the name of a class holds a NUL byte");
  for (std::size_t i = 0; i < paths.size(); ++i) {
    require(!paths[i].empty(), "path " + std::to_string(i) + " is empty");
    require(!holds_nul(paths[i]), "path " + std::to_string(i) + " holds a NUL byte");
    require(classes.empty() ||
                (labels[i] >= 0 && static_cast<std::uint64_t>(labels[i]) < classes.size()),
            "label " + std::to_string(labels[i]) + " of path " + std::to_string(i) +
                " is outside [0, " + std::to_string(classes.size()) + ")");
  }
}

}  // namespace

std::shared_ptr<const Index> samples_index(const std::string& root,
                                           std::span<const std::string> classes,
                                           std::span<const std::string> paths,
                                           std::span<const std::int64_t> labels) {
  validate(root, classes, paths, labels);
  std::string start = root.empty() || root.ends_with('/') ? root : root + '/';
  const bool keep = !root.empty() && all_below(paths, start);
  if (!keep) start = common_start(paths);

  IndexBuilder builder;
  for (const std::string& name : classes) builder.add_class(name);
  // Where shuffled, a directory comes up again for every file, its prefix once.
  std::unordered_map<std::string_view, std::uint64_t> prefixes;
  std::optional<std::pair<std::string_view, std::int64_t>> current;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const std::string_view path = std::string_view(paths[i]).substr(start.size());
    const std::string_view directory = directory_of(path);
    if (current != std::pair(directory, labels[i])) {
      auto known = prefixes.find(directory);
      if (known == prefixes.end()) {
        known = prefixes.emplace(directory, builder.add_prefix(directory)).first;
      }
      builder.add_directory(known->second, labels[i]);
      current.emplace(directory, labels[i]);
    }
    builder.add_entry(path.substr(directory.size()));
  }
  auto index = Index::adopt(keep ? root : root_of(start), builder.finish());
  if (!index) throw std::logic_error("a fresh index is inconsistent");
  return std::make_shared<const Index>(std::move(*index));
}

}  // namespace ringfeed::data
