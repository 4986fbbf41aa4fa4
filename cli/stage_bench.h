#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "interrupt.h"
#include "pipeline/settings.h"
#include "ringfeed/dataset.h"
#include "ringfeed/loader.h"

namespace ringfeed::cli {

/// When a stage has been watched long enough: whichever comes first. 0: no such limit.
struct StageGoal {
  double seconds = 0;
  std::uint64_t images = 0;
};

struct ReadBench {
  std::string reader;
  std::string note;
  std::uint32_t depth = 0;
  std::uint64_t files = 0;
  std::uint64_t failed = 0;
  std::uint64_t bytes = 0;
  double seconds = 0;
  double cpu_seconds = 0;
  double p50_us = 0, p90_us = 0, p99_us = 0, max_us = 0;  ///< open to last byte
  std::vector<Error> errors;                              ///< the first few
};

/// Gets every file read whole, and its entry in the dataset, on the calling thread; false: enough.
using FileSink = std::function<bool(std::uint32_t entry, std::span<const std::byte>)>;

/// Reads `entries` in this order, with the reader and the bounds of a loader of these `settings`
/// and nothing else to do.
ReadBench bench_read(const ImageFolder& dataset, std::span<const std::uint32_t> entries,
                     const pipeline::Settings& settings, const StageGoal& goal,
                     Interrupt& interrupt, const FileSink& sink = {});

struct HeldFile {
  std::uint32_t entry;  ///< in the dataset
  std::vector<std::byte> bytes;
};

struct DecodeBench {
  int workers = 0;
  std::uint64_t images = 0;
  std::uint64_t failed = 0;
  double seconds = 0;
  double cpu_seconds = 0;  ///< of the decode threads alone
  Error first_failure;
};

/// Decodes `files` of `dataset` over and over on the decode threads of a loader of these
/// `settings`, each time with other draws.
DecodeBench bench_decode(const ImageFolder& dataset, const std::vector<HeldFile>& files,
                         const std::vector<TransformPlan>& plans,
                         const pipeline::Settings& settings, const StageGoal& goal,
                         Interrupt& interrupt);

}  // namespace ringfeed::cli
