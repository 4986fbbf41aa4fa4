#pragma once

#include <cstddef>

namespace ringfeed::coro {

/// Reuses coroutine frames of one size, so that starting a coroutine costs no malloc in steady
/// state. One thread only: frames are allocated and destroyed by the thread that owns the pool,
/// whichever thread ran the coroutine's body last.
class FramePool {
 public:
  FramePool() = default;
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;
  ~FramePool();

  void* allocate(std::size_t bytes);
  /// Gives a frame back to the pool it came from.
  static void deallocate(void* frame) noexcept;

 private:
  struct Header;
  Header* free_ = nullptr;
  std::size_t frame_bytes_ = 0;  // of the frames kept; set by the first allocation
};

}  // namespace ringfeed::coro
