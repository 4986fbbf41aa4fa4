#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "interrupt.h"

namespace ringfeed::cli {

inline constexpr int exit_ok = 0;
inline constexpr int exit_data = 1;   ///< something about the files or the machine is wrong
inline constexpr int exit_usage = 2;  ///< something about the command line is

/// What parsing found out is to be done. `run` returns the exit code, or throws what main() turns
/// into one.
struct Chosen {
  std::function<int(Interrupt&)> run;
  bool json = false;
};

/// Each adds one subcommand to `app`, which fills `chosen` when it is parsed.
void add_scan(CLI::App& app, Chosen& chosen);
void add_load(CLI::App& app, Chosen& chosen);
void add_bench(CLI::App& app, Chosen& chosen);
void add_doctor(CLI::App& app, Chosen& chosen);
void add_preview(CLI::App& app, Chosen& chosen);

}  // namespace ringfeed::cli
