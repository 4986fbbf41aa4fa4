#include "data/index.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

namespace ringfeed::data {

// The packed form: this header, then directories, offsets, irregular, class names, prefixes, names.
// Arrays of falling alignment, so each is aligned where it stands. Strings end in NUL.
struct Index::Header {
  std::uint64_t fingerprint;
  std::uint64_t classes, directories, entries, irregular;
  std::uint64_t class_name_bytes, prefix_bytes, name_bytes;
};

namespace {

template <class T>
std::span<const T> take(std::span<const std::byte>& bytes, std::uint64_t count) noexcept {
  const auto* first = reinterpret_cast<const T*>(bytes.data());
  bytes = bytes.subspan(count * sizeof(T));
  return {first, count};
}

std::string_view take_text(std::span<const std::byte>& bytes, std::uint64_t size) noexcept {
  const auto text = take<char>(bytes, size);
  return {text.data(), text.size()};
}

bool ends_in_nul(std::string_view text) noexcept { return text.empty() || text.back() == '\0'; }

}  // namespace

Bytes Bytes::uninitialised(std::size_t size) {
  return {std::make_unique_for_overwrite<std::byte[]>(size), size};
}

std::optional<Index> Index::adopt(std::string root, Bytes packed) {
  if (packed.size < sizeof(Header)) return std::nullopt;
  const auto* header = reinterpret_cast<const Header*>(packed.data.get());
  std::uint64_t left = packed.size - sizeof(Header);
  const auto fits = [&left](std::uint64_t count, std::uint64_t item) {
    if (count > left / item) return false;
    left -= count * item;
    return true;
  };
  if (!fits(header->directories, sizeof(Directory)) ||
      !fits(header->entries, sizeof(std::uint32_t)) ||
      !fits(header->irregular, sizeof(std::uint32_t)) || !fits(header->class_name_bytes, 1) ||
      !fits(header->prefix_bytes, 1) || !fits(header->name_bytes, 1) || left != 0) {
    return std::nullopt;
  }
  Index index(std::move(root), std::move(packed));
  if (!index.consistent()) return std::nullopt;
  return index;
}

Index::Index(std::string root, Bytes packed) : root_(std::move(root)), packed_(std::move(packed)) {
  std::span<const std::byte> rest = packed_.view();
  const Header& header = take<Header>(rest, 1).front();
  directories_ = take<Directory>(rest, header.directories);
  offsets_ = take<std::uint32_t>(rest, header.entries);
  irregular_ = take<std::uint32_t>(rest, header.irregular);
  class_names_ = take_text(rest, header.class_name_bytes);
  prefixes_ = take_text(rest, header.prefix_bytes);
  names_ = take_text(rest, header.name_bytes);
  for (std::size_t at = 0; ends_in_nul(class_names_) && at < class_names_.size();) {
    classes_.emplace_back(class_names_.data() + at);
    at += classes_.back().size() + 1;
  }
}

/// Whether every view the members take stays inside: a manifest comes from a file.
bool Index::consistent() const noexcept {
  const Header& header = *reinterpret_cast<const Header*>(packed_.data.get());
  // Without classes labels are any numbers.
  const auto label_exists = [this](std::int64_t label) {
    return classes_.empty() || (label >= 0 && static_cast<std::uint64_t>(label) < classes_.size());
  };
  if (classes_.size() != header.classes || !ends_in_nul(class_names_) || !ends_in_nul(prefixes_) ||
      !ends_in_nul(names_) || directories_.empty() != offsets_.empty()) {
    return false;
  }
  for (std::size_t d = 0; d < directories_.size(); ++d) {
    const Directory& directory = directories_[d];
    const bool last = d + 1 == directories_.size();
    const std::uint64_t end = last ? offsets_.size() : directories_[d + 1].first_entry;
    const std::uint64_t names_end = last ? names_.size() : directories_[d + 1].names;
    if (directory.first_entry >= end || end > offsets_.size() || directory.names > names_end ||
        names_end > names_.size() || directory.prefix >= prefixes_.size() ||
        !label_exists(directory.label) || (d == 0 && directory.first_entry != 0)) {
      return false;
    }
    std::uint32_t largest = 0;
    for (std::uint64_t e = directory.first_entry; e < end; ++e) {
      largest = std::max(largest, offsets_[e]);
    }
    if (largest >= names_end - directory.names) return false;
  }
  return true;
}

const Index::Directory& Index::directory_of(std::size_t entry) const noexcept {
  const auto after = std::upper_bound(
      directories_.begin(), directories_.end(), entry,
      [](std::size_t e, const Directory& directory) { return e < directory.first_entry; });
  return *(after - 1);
}

std::int64_t Index::label(std::size_t entry) const noexcept { return directory_of(entry).label; }

void Index::relative_path(std::size_t entry, std::string& out) const {
  const Directory& directory = directory_of(entry);
  out.assign(prefixes_.data() + directory.prefix);
  out.append(names_.data() + directory.names + offsets_[entry]);
}

std::string Index::path(std::size_t entry) const {
  std::string relative;
  relative_path(entry, relative);
  if (root_.empty()) return relative;
  return root_.ends_with('/') ? root_ + relative : root_ + '/' + relative;
}

const char* Index::why_not_openable(std::size_t entry) const noexcept {
  return std::binary_search(irregular_.begin(), irregular_.end(), entry)
             ? "a FIFO, socket or device, not a regular file; remove it from the dataset"
             : nullptr;
}

std::vector<std::string> Index::empty_classes() const {
  std::vector<std::string> empty;
  std::vector<bool> seen(classes_.size());
  if (seen.empty()) return empty;
  for (const Directory& directory : directories_) {
    seen[static_cast<std::size_t>(directory.label)] = true;
  }
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    if (!seen[c]) empty.push_back(classes_[c]);
  }
  return empty;
}

std::uint64_t Index::fingerprint() const noexcept {
  return reinterpret_cast<const Header*>(packed_.data.get())->fingerprint;
}

std::size_t Index::memory_bytes() const noexcept {
  std::size_t bytes = sizeof(Index) + packed_.size + classes_.capacity() * sizeof(std::string);
  for (const std::string& name : classes_) bytes += name.capacity();
  return bytes;
}

void IndexBuilder::add_class(std::string_view name) {
  class_at_.push_back(class_names_.size());
  class_names_.append(name).push_back('\0');
}

std::uint64_t IndexBuilder::add_prefix(std::string_view prefix) {
  const std::uint64_t at = prefixes_.size();
  prefixes_.append(prefix).push_back('\0');
  return at;
}

void IndexBuilder::add_directory(std::uint64_t prefix, std::int64_t label) {
  // One without images would only lengthen the search.
  if (!directories_.empty() && directories_.back().first_entry == offsets_.size()) {
    directories_.pop_back();
  }
  directories_.push_back({offsets_.size(), names_.size(), prefix, label});
}

void IndexBuilder::add_entry(std::string_view name, bool regular) {
  constexpr auto limit = std::numeric_limits<std::uint32_t>::max();
  const std::uint64_t offset = names_.size() - directories_.back().names;
  if (offsets_.size() >= limit) throw std::length_error("more than 2^32 - 1 images");
  if (offset > limit) throw std::length_error("more than 4 GiB of names in one directory");
  if (!regular) irregular_.push_back(static_cast<std::uint32_t>(offsets_.size()));
  offsets_.push_back(static_cast<std::uint32_t>(offset));
  names_.append(name).push_back('\0');
}

/// Whether the directory's path begins with its class, as in an ImageFolder.
bool IndexBuilder::label_shows(const Index::Directory& directory) const {
  if (directory.label < 0 || static_cast<std::uint64_t>(directory.label) >= class_at_.size()) {
    return false;
  }
  const std::string_view name =
      class_names_.data() + class_at_[static_cast<std::size_t>(directory.label)];
  const std::string_view prefix = prefixes_.data() + directory.prefix;
  return prefix.size() > name.size() && prefix.starts_with(name) && prefix[name.size()] == '/';
}

/// Over the classes, an empty string, then each directory's "class/…/" and its names, all ending
/// in NUL; where the path does not show the label, "/" and the label stand before it. That begins
/// and does not end in '/', as no name and no directory does.
std::uint64_t IndexBuilder::fingerprint() const {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       XXH3_freeState);
  if (state == nullptr) throw std::bad_alloc();
  XXH3_64bits_reset(state.get());
  const auto add = [&state](const char* data, std::size_t size) {
    XXH3_64bits_update(state.get(), data, size);
  };
  add(class_names_.data(), class_names_.size());
  add("", 1);
  for (std::size_t d = 0; d < directories_.size(); ++d) {
    const Index::Directory& directory = directories_[d];
    if (directory.first_entry == offsets_.size()) break;
    if (!label_shows(directory)) {
      const std::string label = '/' + std::to_string(directory.label);
      add(label.c_str(), label.size() + 1);
    }
    const char* prefix = prefixes_.data() + directory.prefix;
    const bool last = d + 1 == directories_.size();
    const std::uint64_t end = last ? names_.size() : directories_[d + 1].names;
    add(prefix, std::strlen(prefix) + 1);
    add(names_.data() + directory.names, end - directory.names);
  }
  return XXH3_64bits_digest(state.get());
}

Bytes IndexBuilder::finish() const {
  const bool last_empty =
      !directories_.empty() && directories_.back().first_entry == offsets_.size();
  const std::size_t directories = directories_.size() - (last_empty ? 1 : 0);
  const Index::Header header{fingerprint(),    class_at_.size(),  directories,
                             offsets_.size(),  irregular_.size(), class_names_.size(),
                             prefixes_.size(), names_.size()};
  Bytes packed =
      Bytes::uninitialised(sizeof(header) + directories * sizeof(Index::Directory) +
                           (offsets_.size() + irregular_.size()) * sizeof(std::uint32_t) +
                           class_names_.size() + prefixes_.size() + names_.size());
  std::byte* at = packed.data.get();
  const auto put = [&at](const void* data, std::size_t size) {
    if (size > 0) std::memcpy(at, data, size);
    at += size;
  };
  put(&header, sizeof(header));
  put(directories_.data(), directories * sizeof(Index::Directory));
  put(offsets_.data(), offsets_.size() * sizeof(std::uint32_t));
  put(irregular_.data(), irregular_.size() * sizeof(std::uint32_t));
  put(class_names_.data(), class_names_.size());
  put(prefixes_.data(), prefixes_.size());
  put(names_.data(), names_.size());
  return packed;
}

}  // namespace ringfeed::data
