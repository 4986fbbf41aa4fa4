#include "decode/jpeg/memory.h"

#include <cstring>
#include <new>
#include <utility>

#include "base/memory_block.h"

// clang-format off
#include <jerror.h>  // after jpeglib.h
// clang-format on

namespace ringfeed::decode {
namespace {

constexpr std::size_t alignment = 64;  // libjpeg's vectors want 32, its rows multiples of 64

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + alignment - 1) / alignment * alignment;
}

/// 3.0 and later decode files of more than 8 bits.
std::size_t row_bytes(j_common_ptr cinfo, JDIMENSION samples) {
  const int precision = reinterpret_cast<j_decompress_ptr>(cinfo)->data_precision;
  return aligned(std::size_t{samples} * (precision > 8 ? 2 : 1));
}

}  // namespace

struct JpegMemory::Block {
  Block* next;
  std::size_t bytes;
};

/// A whole image's coefficients, or samples.
struct JpegMemory::VirtualArray {
  VirtualArray* next;
  void** rows;  ///< null until realized
  std::size_t row_bytes;
  JDIMENSION count, most_rows;
  JDIMENSION written;  ///< rows
  bool pre_zero;
};

JpegMemory::JpegMemory() noexcept : jpeg_memory_mgr{} {
  alloc_small = alloc_large = [](j_common_ptr cinfo, int, std::size_t bytes) {
    return allocate(cinfo, bytes);
  };
  alloc_sarray = [](j_common_ptr cinfo, int, JDIMENSION samples, JDIMENSION rows) {
    return reinterpret_cast<JSAMPARRAY>(allocate_rows(cinfo, row_bytes(cinfo, samples), rows));
  };
  alloc_barray = [](j_common_ptr cinfo, int, JDIMENSION blocks, JDIMENSION rows) {
    return reinterpret_cast<JBLOCKARRAY>(allocate_rows(cinfo, blocks * sizeof(JBLOCK), rows));
  };
  request_virt_sarray = [](j_common_ptr cinfo, int, boolean pre_zero, JDIMENSION samples,
                           JDIMENSION rows, JDIMENSION most_rows) {
    return reinterpret_cast<jvirt_sarray_ptr>(
        request(cinfo, pre_zero, row_bytes(cinfo, samples), rows, most_rows));
  };
  request_virt_barray = [](j_common_ptr cinfo, int, boolean pre_zero, JDIMENSION blocks,
                           JDIMENSION rows, JDIMENSION most_rows) {
    return reinterpret_cast<jvirt_barray_ptr>(
        request(cinfo, pre_zero, blocks * sizeof(JBLOCK), rows, most_rows));
  };
  realize_virt_arrays = realize;
  access_virt_sarray = [](j_common_ptr cinfo, jvirt_sarray_ptr array, JDIMENSION start,
                          JDIMENSION count, boolean writable) {
    return reinterpret_cast<JSAMPARRAY>(
        access(cinfo, *reinterpret_cast<VirtualArray*>(array), start, count, writable));
  };
  access_virt_barray = [](j_common_ptr cinfo, jvirt_barray_ptr array, JDIMENSION start,
                          JDIMENSION count, boolean writable) {
    return reinterpret_cast<JBLOCKARRAY>(
        access(cinfo, *reinterpret_cast<VirtualArray*>(array), start, count, writable));
  };
  free_pool = [](j_common_ptr, int) {};  // one image is all that a session has
  max_alloc_chunk = 1'000'000'000;       // as libjpeg-turbo's own
}

void JpegMemory::take_over(jpeg_decompress_struct& cinfo) {
  if (kept_.empty()) {
    kept_.resize(kept_bytes);
    release();
  }
  libjpegs_ = cinfo.mem;
  cinfo.mem = this;
}

void JpegMemory::give_back(jpeg_decompress_struct& cinfo) noexcept {
  if (cinfo.mem != this) return;  // libjpeg could not even be created
  cinfo.mem = libjpegs_;
  release();
}

void JpegMemory::release() noexcept {
  while (blocks_ != nullptr) {
    Block* const block = blocks_;
    blocks_ = block->next;
    free_block(block, block->bytes);
  }
  arrays_ = nullptr;
  next_ = reinterpret_cast<std::byte*>(kept_.data());
  left_ = kept_.size();
}

std::byte* JpegMemory::add_block(std::size_t bytes) noexcept {
  bytes += alignment;
  void* const memory = allocate_block(bytes);
  if (memory == nullptr) return nullptr;
  blocks_ = ::new (memory) Block{blocks_, bytes};
  return static_cast<std::byte*>(memory) + alignment;
}

void* JpegMemory::take(std::size_t bytes) noexcept {
  if (bytes > left_) {
    constexpr std::size_t block = (std::size_t{256} << 10) - alignment;
    if (bytes > block / 4) return add_block(bytes);
    next_ = add_block(block);
    left_ = next_ == nullptr ? 0 : block;
    if (next_ == nullptr) return nullptr;
  }
  left_ -= bytes;
  return std::exchange(next_, next_ + bytes);
}

void* JpegMemory::allocate(j_common_ptr cinfo, std::size_t bytes) {
  void* const memory = of(cinfo).take(aligned(bytes));
  if (memory == nullptr) ERREXIT1(cinfo, JERR_OUT_OF_MEMORY, 0);
  return memory;
}

void** JpegMemory::allocate_rows(j_common_ptr cinfo, std::size_t row_bytes, JDIMENSION count) {
  auto** const rows = static_cast<void**>(allocate(cinfo, count * sizeof(void*)));
  auto* const first = static_cast<std::byte*>(allocate(cinfo, count * row_bytes));
  for (JDIMENSION row = 0; row < count; ++row) rows[row] = first + row * row_bytes;
  return rows;
}

JpegMemory::VirtualArray* JpegMemory::request(j_common_ptr cinfo, bool pre_zero,
                                              std::size_t row_bytes, JDIMENSION rows,
                                              JDIMENSION most_rows) {
  JpegMemory& self = of(cinfo);
  self.arrays_ = ::new (allocate(cinfo, sizeof(VirtualArray)))
      VirtualArray{self.arrays_, nullptr, row_bytes, rows, most_rows, 0, pre_zero};
  return self.arrays_;
}

void JpegMemory::realize(j_common_ptr cinfo) {
  for (VirtualArray* array = of(cinfo).arrays_; array != nullptr; array = array->next) {
    if (array->rows == nullptr) array->rows = allocate_rows(cinfo, array->row_bytes, array->count);
  }
}

/// With the errors of libjpeg's own for rows that nothing has written.
void** JpegMemory::access(j_common_ptr cinfo, VirtualArray& array, JDIMENSION start,
                          JDIMENSION count, bool writable) {
  const JDIMENSION end = start + count;
  if (end > array.count || count > array.most_rows || array.rows == nullptr) {
    ERREXIT(cinfo, JERR_BAD_VIRTUAL_ACCESS);
  }
  if (array.written < end) {
    const bool skips = array.written < start;
    if (writable ? skips : !array.pre_zero) ERREXIT(cinfo, JERR_BAD_VIRTUAL_ACCESS);
    const JDIMENSION first = skips ? start : array.written;
    if (array.pre_zero) std::memset(array.rows[first], 0, (end - first) * array.row_bytes);
    if (writable) array.written = end;
  }
  return array.rows + start;
}

}  // namespace ringfeed::decode
