#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "batch/channel.h"
#include "pipeline/published.h"
#include "pipeline/settings.h"
#include "ringfeed/failure.h"

namespace ringfeed::pipeline {

/// What has failed in an epoch, and what becomes of the batches concerned: LoaderOptions::on_error
/// and max_failures, carried out where batches are delivered.
class FailureRecord {
 public:
  /// All of it outlives the record. `samples`: of the rank's epoch; `before`: Progress::failed of
  /// its start.
  FailureRecord(const Settings& settings, const ImageFolder& dataset, Published& published,
                std::size_t samples, std::uint64_t before) noexcept;

  /// Leaves out or names anew the rows of `batch` that are in `failed`; or gives the error that
  /// comes in the batch's place. Consumer thread.
  std::optional<Error> settle(Batch& batch, std::vector<batch::FailedRow> failed);

  /// Any thread. Without those before.
  Failures failures() const;
  std::uint64_t progress() const;  ///< Progress::failed; any thread

 private:
  std::optional<Error> raised(const std::vector<batch::FailedRow>& failed, std::size_t size) const;
  std::uint64_t note(const std::vector<batch::FailedRow>& failed, bool raised);
  Error too_many(const Error& last) const;

  const Settings& settings_;
  const ImageFolder& dataset_;
  Published& published_;
  const std::uint64_t most_;
  const std::uint64_t before_;

  mutable Mutex mutex_;
  Failures failures_ GUARDED_BY(mutex_);
};

}  // namespace ringfeed::pipeline
