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

/// What ImageFolder shares: every entry in torchvision's order. The packed form is the only form:
/// names stand in one blob, grouped by directory, and loading a manifest parses nothing.
/// 26 bytes an entry for ImageNet's names. Immutable; any thread.
class Index {
 public:
  /// Takes what IndexBuilder::finish made, also through a file: nothing where it is not that.
  static std::optional<Index> adopt(std::string root, Bytes packed);

  std::size_t size() const noexcept { return offsets_.size(); }
  std::int64_t label(std::size_t entry) const noexcept;
  /// Writes the path below root(), NUL-terminated, into `out` (capacity reused; no allocation in
  /// steady state).
  void relative_path(std::size_t entry, std::string& out) const;
  /// root/class/…/name.
  std::string path(std::size_t entry) const;
  const std::string& root() const noexcept { return root_; }
  /// False where the listing said FIFO, socket or device: such an entry is an error, never opened.
  bool regular(std::size_t entry) const noexcept;

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
    std::uint64_t label;
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

/// Packs an index from entries given in torchvision's order. Throws std::length_error past 2^32 - 1
/// entries or 4 GiB of names in one directory.
class IndexBuilder {
 public:
  void add_class(std::string_view name);
  /// Entries that follow are in `path` ("class" or "class/sub/…"), of class number `label`.
  void add_directory(std::string_view path, std::uint32_t label);
  void add_entry(std::string_view name, bool regular = true);
  Bytes finish() const;

 private:
  std::uint64_t fingerprint() const;

  std::uint64_t class_count_ = 0;
  std::vector<Index::Directory> directories_;
  std::vector<std::uint32_t> offsets_, irregular_;
  std::string class_names_, prefixes_, names_;
};

}  // namespace ringfeed::data
