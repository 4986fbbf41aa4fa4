#include "base/launched_ranks.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "base/to_number.h"

namespace ringfeed {
namespace {

/// Each says how many processes there are on this machine. torchrun's first: it is started by the
/// others, once on a machine.
constexpr std::array counts_here{
    "LOCAL_WORLD_SIZE",            // torchrun, accelerate
    "OMPI_COMM_WORLD_LOCAL_SIZE",  // Open MPI
    "MPI_LOCALNRANKS",             // MPICH, Intel MPI
    "MV2_COMM_WORLD_LOCAL_SIZE",   // MVAPICH
    "PALS_LOCAL_SIZE",             // Cray
};

std::string_view variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

std::optional<std::uint32_t> count(std::string_view text) {
  const auto number = to_number<std::uint32_t>(text);
  return number && *number > 0 ? number : std::nullopt;
}

/// Launchers that say only how many processes there are in all, as Lightning's does: all are here
/// where they meet at an address that no other machine reaches.
std::optional<std::uint32_t> of_loopback_job() {
  const bool is_rank = !variable("RANK").empty() || !variable("LOCAL_RANK").empty();
  return is_rank && meets_on_this_host() ? count(variable("WORLD_SIZE")) : std::nullopt;
}

/// This machine's entry in Slurm's list of the tasks on each, such as "4(x2),3".
std::optional<std::uint32_t> of_slurm_step() {
  if (variable("SLURM_STEP_ID").empty() && variable("SLURM_STEPID").empty()) {
    return std::nullopt;  // a batch script, which srun has not started
  }
  auto node = to_number<std::uint32_t>(variable("SLURM_NODEID")).value_or(0);
  std::string_view list = variable("SLURM_STEP_TASKS_PER_NODE");
  while (!list.empty()) {
    std::string_view entry = list.substr(0, list.find(','));
    list.remove_prefix(std::min(entry.size() + 1, list.size()));
    std::uint32_t repeats = 1;
    if (const std::size_t open = entry.find("(x"); open != entry.npos && entry.ends_with(')')) {
      repeats = count(entry.substr(open + 2, entry.size() - open - 3)).value_or(1);
      entry = entry.substr(0, open);
    }
    if (node < repeats) return count(entry);
    node -= repeats;
  }
  return count(variable("SLURM_NTASKS_PER_NODE"));
}

}  // namespace

bool meets_on_this_host() {
  const std::string_view host = variable("MASTER_ADDR");
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

std::optional<std::uint32_t> launched_ranks() {
  for (const char* const name : counts_here) {
    if (const auto here = count(variable(name))) return here;
  }
  if (const auto here = of_loopback_job()) return here;
  return of_slurm_step();
}

std::uint32_t ranks_on_this_host() { return launched_ranks().value_or(1); }

}  // namespace ringfeed
