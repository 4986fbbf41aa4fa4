#include "pipeline/memory_room.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/launched_ranks.h"
#include "base/out_of_memory.h"
#include "batch/block_count.h"

namespace ringfeed::pipeline {

std::optional<MemoryRoom> memory_room(const std::optional<system_limits::Memory>& found) {
  if (!found) return std::nullopt;
  const std::uint64_t held = batch::bytes_in_blocks();  // those of an epoch before serve again
  return MemoryRoom{.all = held + found->left(),
                    .share = held + found->left() / ranks_on_this_host(),
                    .found = *found};
}

std::size_t choose_prefetch(std::size_t batch, const std::optional<MemoryRoom>& room) noexcept {
  return room && 2 * batch > room->share / 2 ? 1 : 2;
}

std::size_t choose_read_ahead(std::size_t wanted, std::size_t least,
                              const std::optional<MemoryRoom>& room) noexcept {
  return room ? std::max<std::size_t>(std::min<std::uint64_t>(wanted, room->share / 4), least)
              : wanted;
}

void require_room(std::size_t count, std::size_t batch, const MemoryRoom& room) {
  if (count * batch <= room.all + room.found.swap) return;
  std::vector<Option> lower{Option::batch_size};
  if (count > 2) lower.push_back(Option::prefetch_factor);
  throw OutOfMemory((count == 1 ? "a batch takes " + std::to_string(batch)
                                : std::to_string(count) + " batches are held at once, each of " +
                                      std::to_string(batch)) +
                        " bytes, and of the " + std::to_string(room.found.limit) + " bytes that " +
                        (room.found.of_cgroup ? "this container may use" : "this machine has") +
                        ", " + std::to_string(room.all) + " are left; lower {}" +
                        (lower.size() > 1 ? " or {}" : "") + ", or make more memory available",
                    lower);
}

}  // namespace ringfeed::pipeline
