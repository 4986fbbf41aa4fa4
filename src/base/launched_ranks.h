#pragma once

#include <cstdint>
#include <optional>

namespace ringfeed {

/// How many processes of this job run on this machine, by the environment variables of whatever has
/// started it: torchrun, Lightning, accelerate, DeepSpeed, MPI or srun. Nothing where none says so.
std::optional<std::uint32_t> launched_ranks();

/// The same, 1 where nothing says how many.
std::uint32_t ranks_on_this_host();

/// Whether $MASTER_ADDR, where the processes of the job meet, is one that no other machine reaches.
bool meets_on_this_host();

}  // namespace ringfeed
