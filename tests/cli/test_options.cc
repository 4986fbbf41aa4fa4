#include <doctest/doctest.h>

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "command_line.h"
#include "options.h"
#include "output.h"

using namespace ringfeed;
using namespace ringfeed::cli;

namespace {

/// The command that `ringfeed` has under this name.
class Command {
 public:
  explicit Command(const std::vector<std::string>& names) {
    add_commands(app_, chosen_);
    for (const std::string& name : names) command_ = command_->get_subcommand(name);
  }

  bool has(Option option) const {
    return command_->get_option_no_throw(std::string(flag_name(option))) != nullptr;
  }

 private:
  CLI::App app_;
  Chosen chosen_;
  CLI::App* command_ = &app_;
};

/// What sets a loader up.
struct LoaderCommand {
  CLI::App app;
  LoaderFlags loader;
  LimitFlags limits;
  ReaderFlags reader;

  LoaderCommand() {
    loader.add(app);
    limits.add(app);
    reader.add(app);
  }
  LoaderOptions options() const { return loader.options(reader, limits); }
};

/// But the one that concerns no plan of a command.
std::vector<Option> all_options() {
  std::vector<Option> all;
  for (int i = 1; !field_name(static_cast<Option>(i)).empty(); ++i) {
    all.push_back(static_cast<Option>(i));
  }
  std::erase(all, Option::max_canvas_bytes);
  return all;
}

}  // namespace

TEST_CASE("every command has the flags that its errors and verdicts can name") {
  std::vector<Option> reading{Option::allow_empty, Option::num_workers, Option::depth,
                              Option::read_ahead_bytes, Option::max_file_bytes};
  std::vector<Option> decoding = reading;
  decoding.insert(decoding.end(), {Option::max_pixels, Option::max_scans, Option::max_decoder_bytes,
                                   Option::load_truncated});
  const std::vector<std::pair<std::vector<std::string>, std::vector<Option>>> commands{
      {{"scan"}, {Option::allow_empty}}, {{"load"}, all_options()},
      {{"bench", "read"}, reading},      {{"bench", "decode"}, decoding},
      {{"bench", "load"}, decoding},     {{"preview"}, decoding},
  };
  for (const auto& [names, options] : commands) {
    const Command command(names);
    for (const Option option : options) {
      CAPTURE(names.back());
      CAPTURE(flag_name(option));
      CHECK(command.has(option));
    }
  }
}

TEST_CASE("an error names an option by its flag") {
  for (const Option option : all_options()) {
    const std::string flag(flag_name(option));
    CHECK(flag.starts_with("--"));
    CHECK(OptionError("{} is wrong", {option}).message(flag_name) == flag + " is wrong");
  }
  CHECK(to_json(Error{Stage::decode, 0, "", "what is wrong", Option::max_pixels})["message"]
            .get<std::string>()
            .find("--max-pixels") != std::string::npos);
}

TEST_CASE("limits reach the library's options, sizes with their suffix") {
  LoaderCommand command;
  command.app.parse(
      "--max-pixels 7 --max-scans 8 --max-decoder-bytes 9K --max-file-bytes 2M --load-truncated "
      "--read-ahead-bytes 3M --depth 5");
  const LoaderOptions options = command.options();
  CHECK(options.limits.max_pixels == 7);
  CHECK(options.limits.max_scans == 8);
  CHECK(options.limits.max_decoder_bytes == 9 << 10);
  CHECK(options.max_file_bytes == 2 << 20);
  CHECK(options.limits.load_truncated);
  CHECK(options.read_ahead_bytes == 3 << 20);
  CHECK(options.depth == 5);
}

TEST_CASE("limits that are not given are the library's") {
  const LoaderOptions options = LoaderCommand().options();
  CHECK(options.limits.max_pixels == DecodeLimits{}.max_pixels);
  CHECK(options.limits.max_scans == DecodeLimits{}.max_scans);
  CHECK(options.limits.max_decoder_bytes == DecodeLimits{}.max_decoder_bytes);
  CHECK(options.max_file_bytes == LoaderOptions{}.max_file_bytes);
  CHECK(options.read_ahead_bytes == LoaderOptions{}.read_ahead_bytes);
  CHECK(options.depth == LoaderOptions{}.depth);
}
