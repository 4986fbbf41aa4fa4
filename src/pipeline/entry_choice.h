#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "data/epoch_order.h"
#include "data/random.h"
#include "pipeline/settings.h"
#include "ringfeed/failure.h"

namespace ringfeed::pipeline {

/// Entries that are tried for a sample, its own included.
inline constexpr std::size_t most_tries = 16;

/// Whether the file is to blame, so that another may do, and not what all files stand on.
bool is_files_fault(const Error& error) noexcept;

/// Whose file a sample shows: its own entry, or where that fails and on_error is `replace`, the
/// first of those drawn for its position that can be loaded. A sample's own, on whichever thread
/// it is.
class EntryChoice {
 public:
  /// `settings` outlives it.
  EntryChoice(const Settings& settings, std::size_t dataset_size, data::Key key,
              const data::Sample& sample) noexcept
      : settings_(settings), dataset_size_(dataset_size), key_(key), sample_(sample) {}

  std::uint64_t position() const noexcept { return sample_.position; }
  std::uint32_t entry() const noexcept { return sample_.entry; }
  /// entry() cannot be loaded. True: it is another now, to be tried.
  bool try_another(Error error);
  /// What has failed; `loaded`: entry() has been loaded in its place. Asked for once.
  std::vector<Failure> failures(bool loaded);

 private:
  struct Tried {
    data::RandomStream draws;
    std::vector<Failure> failures{};
  };

  const Settings& settings_;
  std::size_t dataset_size_;
  data::Key key_;
  data::Sample sample_;
  std::unique_ptr<Tried> tried_;  // null until something fails
};

}  // namespace ringfeed::pipeline
