#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "io/arena.h"

namespace ringfeed::io {

class Credits;

/// Bytes granted to one file, and the memory they stand for. Move-only; gives both back when
/// destroyed, which must happen on the reader thread.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(credits_, other.credits_);
    std::swap(extent_, other.extent_);
    std::swap(reserve_, other.reserve_);
    return *this;
  }
  ~Buffer();

  explicit operator bool() const noexcept { return credits_ != nullptr; }
  std::byte* data() const noexcept;
  std::size_t size() const noexcept { return extent_.bytes; }
  /// Gives back all but the first `bytes`, rounded up to a page.
  void shrink(std::size_t bytes) noexcept;

 private:
  friend class Credits;
  Buffer(Credits* credits, Arena::Extent extent, bool reserve) noexcept
      : credits_(credits), extent_(extent), reserve_(reserve) {}

  Credits* credits_ = nullptr;
  Arena::Extent extent_;
  bool reserve_ = false;
};

/// The bound on encoded bytes, and who gets them next. Reader thread only.
///
/// New samples take their guess in order, before they start. A file that turns out larger waits
/// here to grow: growth goes before any new sample, by sequence, from free bytes; where those do
/// not suffice the oldest unfinished sample gets the reserve, which holds any legal file. So the
/// oldest sample can always finish, everything else waits for it at most, and nothing deadlocks.
class Credits {
 public:
  /// `reserve` is what the largest legal file needs. Throws OutOfMemory.
  Credits(std::size_t bytes, std::size_t reserve);

  /// Empty while a growth waits or where no contiguous run is free.
  Buffer try_acquire(std::size_t bytes);

  /// One file waiting for more room. It keeps its buffer meanwhile; granted() finds the first
  /// `used` bytes copied to the new one.
  class Growth {
   public:
    virtual void granted() = 0;

    std::uint64_t sequence = 0;
    Buffer* buffer = nullptr;
    std::size_t used = 0;
    std::size_t wanted = 0;

   protected:
    ~Growth() = default;
  };
  /// Queues `growth`, to be granted by a later serve_growth().
  void request(Growth& growth);
  void withdraw(Growth& growth) noexcept;
  bool growth_waits() const noexcept { return !growing_.empty(); }

  /// Grants what can be granted; `oldest` is the oldest unfinished sequence.
  void serve_growth(std::uint64_t oldest);

  std::size_t capacity() const noexcept { return main_.capacity(); }  ///< without the reserve
  std::size_t in_use() const noexcept { return main_.in_use() + reserve_.in_use(); }
  std::size_t peak() const noexcept { return peak_; }

 private:
  friend class Buffer;
  bool grow_from_free(Growth& growth);
  bool grow_from_reserve(Growth& growth);
  void move_to(Growth& growth, Buffer larger);
  void note_peak() noexcept;

  Arena main_;
  Arena reserve_;
  std::vector<Growth*> growing_;  // by sequence
  std::size_t peak_ = 0;
};

}  // namespace ringfeed::io
