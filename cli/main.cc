#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/out_of_memory.h"
#include "command_line.h"
#include "commands.h"
#include "output.h"
#include "ringfeed/error.h"

namespace ringfeed::cli {
namespace {

/// The line on stderr, and with --json the document that stands for the one that failed.
int report(const Chosen& chosen, std::string_view text, Json error, int code) {
  complain(text);
  if (chosen.json) print_json({{"errors", Json::array({std::move(error)})}});
  return code;
}

int run(const Chosen& chosen) {
  try {
    Interrupt interrupt;
    return chosen.run(interrupt);
  } catch (const LoadError& error) {
    return report(chosen, error.error().message(flag_name), to_json(error.error()), exit_data);
  } catch (const OptionError& error) {
    const std::string message = error.message(flag_name);
    return report(chosen, message, setup_error(message), exit_usage);
  } catch (const OutOfMemory& error) {
    const std::string message = error.message(flag_name);
    return report(chosen, message, setup_error(message), exit_data);
  } catch (const std::bad_alloc&) {
    return report(chosen, no_memory(), setup_error(no_memory()), exit_data);
  } catch (const std::invalid_argument& error) {
    return report(chosen, error.what(), setup_error(error.what()), exit_usage);
  } catch (const std::exception& error) {
    return report(chosen, error.what(), setup_error(error.what()), exit_data);
  }
}

int main(int argc, char** argv) {
  Chosen chosen;
  if (const auto code = parse(argc, argv, chosen)) return *code;
  const int code = run(chosen);
  if (flush_stdout()) return code;
  complain("stdout took only part of the output");
  return exit_data;
}

}  // namespace
}  // namespace ringfeed::cli

int main(int argc, char** argv) { return ringfeed::cli::main(argc, argv); }
