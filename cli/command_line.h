#pragma once

#include <functional>
#include <optional>

#include "interrupt.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's own name
class App;
}

namespace ringfeed::cli {

/// What is to be done. `run` returns the exit code, or throws what main() turns into one.
struct Chosen {
  std::function<int(Interrupt&)> run;
  bool json = false;
};

/// Adds the subcommands to `app`, which fill `chosen` when it is parsed.
void add_commands(CLI::App& app, Chosen& chosen);

/// Fills `chosen`. An exit code where nothing is to be done: help and version, or what is wrong,
/// have been printed.
std::optional<int> parse(int argc, char** argv, Chosen& chosen);

}  // namespace ringfeed::cli
