#pragma once

#include <cstdint>
#include <vector>

#include "interrupt.h"
#include "output.h"
#include "ringfeed/loader.h"

namespace ringfeed::cli {

/// How far to run a loader. 0 where a limit is not wanted.
struct LoadGoal {
  std::uint64_t epochs = 1;
  std::uint64_t max_batches = 0;  ///< over all epochs
  std::uint64_t max_images = 0;
  double max_seconds = 0;
  bool checksum = false;
  bool keep_going = false;      ///< past batches with a failed sample
  std::uint64_t positions = 0;  ///< places in an epoch; beyond them lies padding
};

struct EpochFailures {
  std::uint64_t epoch = 0;
  Failures failures;
};

/// What came of it; also after a failure or an interruption, then up to there.
struct LoadRun {
  std::uint64_t images = 0;
  std::uint64_t batches = 0;
  std::uint64_t epochs = 0;  ///< finished ones
  double seconds = 0;
  double cpu_seconds = 0;  ///< user and system time of the whole process
  double first_batch_seconds = 0;
  std::uint64_t checksum = 0;
  std::vector<Error> errors;
  std::vector<EpochFailures> failures;  ///< of the epochs that have any
  bool interrupted = false;
  Stats stats;
};

/// Consumes epochs until the goal, the first failed batch (unless it is to keep going) or SIGINT,
/// which stops the loader.
LoadRun run_loader(Loader& loader, const LoadGoal& goal, Interrupt& interrupt);

/// User and system time this process has used so far.
double process_cpu_seconds() noexcept;

Json to_json(const StageStats& stage);
/// Header and one row a stage.
Table stage_table(const Stats& stats);

}  // namespace ringfeed::cli
