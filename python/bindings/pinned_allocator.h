#pragma once

#include <memory>

#include "object_ref.h"
#include "ringfeed/batch.h"
#include "signals.h"

namespace ringfeed::python {

/// Memory that Python provides, such as page-locked tensors: `allocate(bytes)` returns an object
/// that owns it and its address. allocate() takes the GIL; the owner of the memory does not, and
/// is a HeldObject. footprint() rounds up to a power of two, as torch's caching allocator does.
std::shared_ptr<BatchAllocator> make_pinned_allocator(ObjectRef allocate,
                                                      std::shared_ptr<Signals> signals);

}  // namespace ringfeed::python
