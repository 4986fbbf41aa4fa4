#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ringfeed/dataset.h"

namespace ringfeed::data {

/// One heap block; what an index is made of and what a manifest stores of it.
struct Bytes {
  std::unique_ptr<std::byte[]> data;
  std::size_t size = 0;

  static Bytes uninitialised(std::size_t size);
  std::span<const std::byte> view() const noexcept { return {data.get(), size}; }
};

/// What ImageFolder shares: every entry in order. The packed form is the only form: names stand in
/// one blob, grouped by directory, and loading a manifest parses nothing. 26 bytes an entry for
/// ImageNet's names in torchvision's order; 57 where they are shuffled and every entry begins a
/// directory anew. Immutable; any thread.
class Index {
 public:
  /// Takes what IndexBuilder::finish made, also through a file: nothing where it is not that.
  static std::optional<Index> adopt(std::string root, Bytes packed);

  std::size_t size() const noexcept { return offsets_.size(); }
  std::int64_t label(std::size_t entry) const noexcept;
  /// Writes the path below root(), NUL-terminated, into `out` (capacity reused; no allocation in
  /// steady state).
  void relative_path(std::size_t entry, std::string& out) const;
  /// root/class/…/name; relative_path() alone where root() is empty.
  std::string path(std::size_t entry) const;
  const std::string& root() const noexcept { return root_; }
  /// Why the entry is an error and never opened: the listing said FIFO, socket or device. Null for
  /// all others.
  const char* why_not_openable(std::size_t entry) const noexcept;

  std::span<const std::string> classes() const noexcept { return classes_; }
  /// Classes without an image, in order.
  std::vector<std::string> empty_classes() const;
  std::uint64_t fingerprint() const noexcept;
  std::size_t memory_bytes() const noexcept;
  std::span<const std::byte> packed() const noexcept { return packed_.view(); }

  const ScanReport& report() const noexcept { return report_; }
  void set_report(ScanReport report) { report_ = std::move(report); }

 private:
  friend class IndexBuilder;
  struct Header;
  struct Directory {
    std::uint64_t first_entry;
    std::uint64_t names;   // where its names begin in the names
    std::uint64_t prefix;  // where "class/…/" stands in the prefixes
    std::int64_t label;
  };

  Index(std::string root, Bytes packed);
  bool consistent() const noexcept;
  const Directory& directory_of(std::size_t entry) const noexcept;

  std::string root_;
  Bytes packed_;
  std::vector<std::string> classes_;
  // Views into packed_.
  std::span<const Directory> directories_;    // those that hold images, in order
  std::span<const std::uint32_t> offsets_;    // of an entry's name in its directory's names
  std::span<const std::uint32_t> irregular_;  // entries, ascending
  std::string_view class_names_, prefixes_, names_;
  ScanReport report_;
};

/// Packs an index from entries given in order. No string may hold a NUL. Throws std::length_error
/// past 2^32 - 1 entries or 4 GiB of names in one directory.
class IndexBuilder {
 public:
  void add_class(std::string_view name);
  /// Keeps what stands before the names of a directory ("class/sub/…/"), for add_directory().
  std::uint64_t add_prefix(std::string_view prefix);
  /// Entries that follow have this prefix and label.
  void add_directory(std::uint64_t prefix, std::int64_t label);
  void add_entry(std::string_view name, bool regular = true);
  Bytes finish() const;

 private:
  bool label_shows(const Index::Directory& directory) const;
  std::uint64_t fingerprint() const;

  std::vector<Index::Directory> directories_;
  std::vector<std::uint32_t> offsets_, irregular_;
  std::vector<std::uint64_t> class_at_;  // in class_names_
  std::string class_names_, prefixes_, names_;
};

}  // namespace ringfeed::data
