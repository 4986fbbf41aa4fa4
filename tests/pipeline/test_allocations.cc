// Counts this program's own heap allocations, so that the per-image path stays free of them.

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "ringfeed/loader.h"
#include "support/image_folder.h"

namespace {
std::atomic<std::size_t> allocations{0};
}

void* operator new(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(bytes)) return p;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const auto align = static_cast<std::size_t>(alignment);
  if (void* p = std::aligned_alloc(align, (bytes + align - 1) / align * align)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

TEST_CASE("in steady state batches allocate, and images do not") {
  using namespace ringfeed;
  testing::SampleFolder folder(2, 200);
  ScanOptions scan;
  scan.use_cache = false;
  for (auto reader : {ReaderKind::ring, ReaderKind::pool}) {
    LoaderOptions options;
    options.batch_size = 32;
    options.num_workers = 2;
    options.reader = reader;
    Loader loader(ImageFolder::open(folder.root(), scan), TransformPlan::imagenet_train(), options);
    // Two epochs grow every queue and buffer to its working size.
    for (std::uint64_t epoch = 0; epoch < 2; ++epoch) {
      for (Batch& batch : loader.epoch(epoch)) (void)batch;
    }
    Epoch epoch = loader.epoch(2);
    (void)epoch.next();
    const std::size_t before = allocations;
    std::size_t images = 0;
    while (auto batch = epoch.next()) images += batch->size();
    const std::size_t used = allocations - before;
    CAPTURE(used);
    CHECK(images > 300);
    CHECK(used <= images / 2);
  }
}
