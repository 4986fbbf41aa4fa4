#pragma once

#include <cstdint>
#include <string>

#include "interrupt.h"
#include "options.h"
#include "stage_bench.h"

namespace ringfeed::cli {

inline constexpr int exit_ok = 0;
inline constexpr int exit_data = 1;   ///< something about the files or the machine is wrong
inline constexpr int exit_usage = 2;  ///< something about the command line is

/// The subcommands, each with what it can be asked for. They return the exit code, or throw what
/// main() turns into one.

struct ScanFlags {
  DatasetFlags dataset;
  bool samples = false;
};
int scan(const ScanFlags& flags, bool json);

struct LoadFlags {
  DatasetFlags dataset;
  TransformFlags transform;
  ReaderFlags reader;
  LimitFlags limits;
  LoaderFlags loader;
  std::uint64_t epochs = 1;
  std::uint64_t max_batches = 0;
  bool no_checksum = false;
  bool keep_going = false;
};
int load(const LoadFlags& flags, bool json, Interrupt& interrupt);

struct BenchFlags {
  DatasetFlags dataset;
  TransformFlags transform;
  ReaderFlags reader;
  LimitFlags limits;
  LoaderFlags loader;  ///< of which there are --workers and --seed
  StageGoal goal{.seconds = 10, .images = 0};
};
/// `stage`: "read", "decode" or "load", which is both and the whole loader.
int bench(const std::string& stage, const BenchFlags& flags, bool json, Interrupt& interrupt);

struct PreviewFlags {
  DatasetFlags dataset;
  LimitFlags limits;
  ReaderFlags reader;
  std::string output;
  TransformFlags transform;
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;
  int count = 32;
  int columns = 0;
  int workers = 0;
};
int preview(const PreviewFlags& flags, bool json, Interrupt& interrupt);

int doctor(const std::string& path, bool json);

}  // namespace ringfeed::cli
