#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned_vector.h"

// clang-format off
#include <cstdio>  // jpeglib.h uses size_t and FILE without declaring them
#include <jpeglib.h>
// clang-format on

namespace ringfeed::decode {

/// What libjpeg allocates for one image after the other, in the place of its own manager: that one
/// takes all of it from the heap, which keeps an image's coefficients for each thread. Small pieces
/// come from a block that stays, large ones are blocks of their own. All of an image's memory is
/// freed at its end; its size is the caller's to limit. One thread's own.
class JpegMemory : private jpeg_memory_mgr {
 public:
  JpegMemory() noexcept;
  ~JpegMemory() { release(); }
  /// Another one: what the first keeps stays with it.
  JpegMemory(JpegMemory&&) noexcept : JpegMemory() {}

  /// After jpeg_create_decompress(). Throws std::bad_alloc.
  void take_over(jpeg_decompress_struct& cinfo);
  /// Before jpeg_destroy_decompress(), which finds what it has made in libjpeg's own manager.
  void give_back(jpeg_decompress_struct& cinfo) noexcept;

  /// The most bytes that stay between images. A progressive one of 500 x 375 does with them; in
  /// fresh memory it took 20 % longer.
  static constexpr std::size_t kept_bytes = std::size_t{1} << 20;

 private:
  struct Block;
  struct VirtualArray;

  static JpegMemory& of(j_common_ptr cinfo) { return *static_cast<JpegMemory*>(cinfo->mem); }
  /// These jump where there is no memory.
  static void* allocate(j_common_ptr cinfo, std::size_t bytes);
  static void** allocate_rows(j_common_ptr cinfo, std::size_t row_bytes, JDIMENSION count);
  static VirtualArray* request(j_common_ptr cinfo, bool pre_zero, std::size_t row_bytes,
                               JDIMENSION rows, JDIMENSION most_rows);
  static void realize(j_common_ptr cinfo);
  static void** access(j_common_ptr cinfo, VirtualArray& array, JDIMENSION start, JDIMENSION count,
                       bool writable);

  void* take(std::size_t bytes) noexcept;
  std::byte* add_block(std::size_t bytes) noexcept;
  void release() noexcept;

  jpeg_memory_mgr* libjpegs_ = nullptr;
  AlignedVector<std::uint8_t> kept_;
  std::byte* next_ = nullptr;  ///< small pieces: in kept_, or in a block
  std::size_t left_ = 0;
  Block* blocks_ = nullptr;
  VirtualArray* arrays_ = nullptr;
};

}  // namespace ringfeed::decode
