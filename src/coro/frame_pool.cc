#include "coro/frame_pool.h"

#include <new>

namespace ringfeed::coro {

// Stands in front of every frame: how deallocate() finds the pool.
struct alignas(__STDCPP_DEFAULT_NEW_ALIGNMENT__) FramePool::Header {
  FramePool* pool;
  Header* next;
  std::size_t bytes;
};

FramePool::~FramePool() {
  while (free_ != nullptr) {
    Header* header = free_;
    free_ = header->next;
    ::operator delete(header);
  }
}

void* FramePool::allocate(std::size_t bytes) {
  if (frame_bytes_ == 0) frame_bytes_ = bytes;
  Header* header = free_;
  if (header != nullptr && bytes == frame_bytes_) {
    free_ = header->next;
  } else {
    header = ::new (::operator new(sizeof(Header) + bytes)) Header;
  }
  *header = {this, nullptr, bytes};
  return header + 1;
}

void FramePool::deallocate(void* frame) noexcept {
  Header* header = static_cast<Header*>(frame) - 1;
  FramePool* pool = header->pool;
  if (header->bytes != pool->frame_bytes_) {
    ::operator delete(header);
    return;
  }
  header->next = pool->free_;
  pool->free_ = header;
}

}  // namespace ringfeed::coro
