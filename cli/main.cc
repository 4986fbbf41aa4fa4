#include <algorithm>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

#include "commands.h"
#include "output.h"
#include "ringfeed/error.h"
#include "ringfeed/version.h"

namespace ringfeed::cli {
namespace {

/// One line.
std::string usage_failure(const CLI::App* app, const CLI::Error& error) {
  const CLI::App* used = app;
  while (!used->get_subcommands().empty()) used = used->get_subcommands().front();
  std::string name = used->get_name();
  for (auto* parent = used->get_parent(); parent != nullptr; parent = parent->get_parent()) {
    name.insert(0, parent->get_name() + " ");
  }
  return "ringfeed: " + one_line(error.what()) + " (see " + name + " --help)\n";
}

Json setup_error(std::string_view message) {
  return {{"stage", to_string(Stage::setup)}, {"code", 0}, {"path", ""}, {"message", message}};
}

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
  } catch (const std::invalid_argument& error) {
    return report(chosen, error.what(), setup_error(error.what()), exit_usage);
  } catch (const std::exception& error) {
    return report(chosen, error.what(), setup_error(error.what()), exit_data);
  }
}

int main(int argc, char** argv) {
  CLI::App app{"Feeds image-classification training from a plain ImageFolder.", "ringfeed"};
  app.set_version_flag("--version", "ringfeed " + std::string(version()));
  app.failure_message(usage_failure);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 ok, 1 files or machine at fault, 2 command line at fault, 130 interrupted.");
  Chosen chosen;
  add_scan(app, chosen);
  add_load(app, chosen);
  add_bench(app, chosen);
  add_doctor(app, chosen);
  add_preview(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) == 0) return exit_ok;
    // Parsing may have ended before it came to --json.
    const bool json = std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
    if (json) print_json({{"errors", Json::array({setup_error(error.what())})}});
    return exit_usage;
  }
  const int code = run(chosen);
  if (flush_stdout()) return code;
  complain("stdout took only part of the output");
  return exit_data;
}

}  // namespace
}  // namespace ringfeed::cli

int main(int argc, char** argv) { return ringfeed::cli::main(argc, argv); }
