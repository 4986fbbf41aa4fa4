#include "pipeline/failure_record.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "batch/leave_out.h"
#include "pipeline/entry_choice.h"

namespace ringfeed::pipeline {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::size_t most_named = 10;

std::uint64_t most_failures(double asked, std::size_t samples) noexcept {
  const double most = asked < 1 ? asked * static_cast<double>(samples) : asked;
  // From there on the conversion is undefined.
  if (!(most < 0x1p64)) return std::numeric_limits<std::uint64_t>::max();
  return static_cast<std::uint64_t>(most);
}

}  // namespace

FailureRecord::FailureRecord(const Settings& settings, const ImageFolder& dataset,
                             Published& published, std::size_t samples,
                             std::uint64_t before) noexcept
    : settings_(settings),
      dataset_(dataset),
      published_(published),
      most_(most_failures(settings.max_failures, samples)),
      before_(before) {}

std::optional<Error> FailureRecord::settle(Batch& batch, std::vector<batch::FailedRow> failed) {
  if (failed.empty()) return std::nullopt;
  std::optional<Error> error = raised(failed, batch.size());
  const bool over = note(failed, error.has_value()) > most_;
  if (error) return error;
  if (over) return too_many(failed.back().failures.back().error);
  std::vector<std::size_t> rows;
  for (const batch::FailedRow& row : failed) {
    if (const auto substitute = row.substitute()) {
      batch.indices[row.row] = *substitute;
      batch.labels[row.row] = dataset_.label(*substitute);
    } else {
      rows.push_back(row.row);
    }
  }
  batch::leave_out(batch, rows);
  published_.skipped.fetch_add(rows.size(), relaxed);
  published_.replaced.fetch_add(failed.size() - rows.size(), relaxed);
  return std::nullopt;
}

/// What on_error does not let pass, of a batch of `size` samples.
std::optional<Error> FailureRecord::raised(const std::vector<batch::FailedRow>& failed,
                                           std::size_t size) const {
  if (settings_.on_error == OnError::raise) return failed.front().failures.front().error;
  for (const batch::FailedRow& row : failed) {
    if (row.substitute()) continue;
    const Error& last = row.failures.back().error;
    if (!is_files_fault(last)) return last;
    if (settings_.on_error == OnError::skip) continue;
    Error error = row.failures.front().error;
    error.detail += "; none of the " + std::to_string(row.failures.size() - 1) +
                    " files drawn in its place could be loaded either, the last being " + last.path;
    return error;
  }
  if (settings_.on_error == OnError::replace || failed.size() < size) return std::nullopt;
  Error error = failed.front().failures.front().error;
  error.detail += "; no other sample of its batch could be loaded, so that none is left";
  return error;
}

/// How many of the epoch have failed with these. No substitute comes in a batch that is an error:
/// `raised`, or one too many.
std::uint64_t FailureRecord::note(const std::vector<batch::FailedRow>& failed, bool raised) {
  const MutexLock lock(mutex_);
  for (const batch::FailedRow& row : failed) failures_.count += row.failures.size();
  const std::uint64_t count = before_ + failures_.count;
  const bool comes = !raised && count <= most_;
  for (const batch::FailedRow& row : failed) {
    for (const Failure& failure : row.failures) {
      if (failures_.first.size() == Failures::most_listed) return count;
      failures_.first.push_back(failure);
      if (!comes) failures_.first.back().substitute.reset();
    }
  }
  return count;
}

Error FailureRecord::too_many(const Error& last) const {
  const Failures all = failures();
  std::string names;
  for (const Failure& failure : all.first) {
    if (names.empty()) {
      names = failure.error.path;
    } else {
      names += ", " + failure.error.path;
    }
    if (&failure - all.first.data() == most_named - 1) break;
  }
  const std::uint64_t count = before_ + all.count;
  const std::size_t named = std::min(all.first.size(), most_named);
  if (count > named) names += " and " + std::to_string(count - named) + " more";
  Error error = last;
  error.detail +=
      "; " + std::to_string(count) +
      (count == 1 ? " file of this epoch has failed" : " files of this epoch have failed") +
      ", where " + std::to_string(most_) + " may: " + names;
  error.option = Option::max_failures;
  return error;
}

std::uint64_t FailureRecord::progress() const {
  if (settings_.on_error == OnError::raise) return 0;
  const MutexLock lock(mutex_);
  return before_ + failures_.count;
}

Failures FailureRecord::failures() const {
  const MutexLock lock(mutex_);
  return failures_;
}

}  // namespace ringfeed::pipeline
