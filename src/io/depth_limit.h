#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

namespace ringfeed::io {

/// How many files may have a slot at once where the kernel runs out of descriptors or memory. A
/// refused open lowers the limit to what was got and waits for others to finish; the limit rises
/// again, one at a time, while files are read without a refusal. One thread.
class DepthLimit {
 public:
  /// Files read without a refusal before the limit rises by one.
  static constexpr std::size_t files_per_rise = 64;

  explicit DepthLimit(std::size_t slots) noexcept : slots_(slots), limit_(slots) {}

  /// Whether the kernel lacks what others may give back.
  static bool out_of_resources(int error) noexcept;

  /// One more file may have a slot while `in_flight` have one.
  bool allows(std::size_t in_flight) const noexcept { return in_flight < limit_; }

  /// Every operation of the engine, from its start to its completion.
  void operation_started(std::uint32_t slot) noexcept;
  void operation_ended() noexcept { --operations_; }
  std::size_t operations() const noexcept { return operations_; }  ///< outstanding

  /// The kernel refused to open the slot's file; `in_flight` have a slot, this one and those
  /// refused before included. True: next_retry() will name it. False: nothing else was outstanding
  /// when it was asked for, so that waiting is in vain. (Files that wait to grow do not count: they
  /// may be waiting for this one's bytes.)
  bool refused(std::uint32_t slot, std::size_t in_flight);
  bool any_refused() const noexcept { return !refused_.empty(); }
  /// A refused slot whose turn it is: another slot has been freed for it, or nothing else is
  /// outstanding. The longest refused first; taken off the list.
  std::optional<std::uint32_t> next_retry() noexcept;
  /// The slot's file is no longer wanted.
  void forget(std::uint32_t slot) noexcept;

  /// A slot has been freed, and whatever its file held.
  void slot_freed() noexcept { ++freed_; }
  /// A file has been read.
  void file_read() noexcept;

 private:
  const std::size_t slots_;
  std::size_t limit_;
  std::size_t operations_ = 0;  // outstanding
  std::optional<std::uint32_t>
      only_slot_;  // of the last operation, if it began with no other outstanding
  std::deque<std::uint32_t> refused_;  // slots, the longest refused first
  std::size_t freed_ = 0;              // slots, since the last refusal, not used for a retry
  std::size_t read_ = 0;               // files, since the last refusal or rise
};

}  // namespace ringfeed::io
