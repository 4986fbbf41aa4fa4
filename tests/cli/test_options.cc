#include <doctest/doctest.h>

#include "options.h"
#include "output.h"

using namespace ringfeed;
using namespace ringfeed::cli;

namespace {

/// What `load` and `bench load` take between them of the options that several commands share.
struct Command {
  CLI::App app;
  LoaderFlags loader;
  LimitFlags limits;
  ReaderFlags reader;
  std::uint64_t read_ahead_bytes = 0;

  Command() {
    loader.add(app);
    limits.add(app);
    reader.add(app);
    add_max_file_bytes(app, limits.max_file_bytes);
    add_read_ahead(app, read_ahead_bytes);
  }
};

}  // namespace

TEST_CASE("every option that an error or the verdict can name has a flag") {
  Command command;
  for (int i = 1; !field_name(static_cast<Option>(i)).empty(); ++i) {
    const std::string flag(flag_name(static_cast<Option>(i)));
    CAPTURE(field_name(static_cast<Option>(i)));
    REQUIRE(!flag.empty());
    CHECK(command.app.get_option_no_throw(flag) != nullptr);
    CHECK(to_json(Error{Stage::decode, 0, "", "what is wrong", static_cast<Option>(i)})["message"]
              .get<std::string>()
              .find(flag) != std::string::npos);
  }
}

TEST_CASE("limits reach the library's options, sizes with their suffix") {
  Command command;
  command.app.parse(
      "--max-pixels 7 --max-scans 8 --max-decoder-bytes 9K --max-file-bytes 2M --load-truncated");
  const LoaderOptions options = command.loader.options(command.reader, command.limits);
  CHECK(options.limits.max_pixels == 7);
  CHECK(options.limits.max_scans == 8);
  CHECK(options.limits.max_decoder_bytes == 9 << 10);
  CHECK(options.max_file_bytes == 2 << 20);
  CHECK(options.limits.load_truncated);
}

TEST_CASE("limits that are not given are the library's") {
  Command command;
  const LoaderOptions options = command.loader.options(command.reader, command.limits);
  CHECK(options.limits.max_pixels == DecodeLimits{}.max_pixels);
  CHECK(options.limits.max_scans == DecodeLimits{}.max_scans);
  CHECK(options.limits.max_decoder_bytes == DecodeLimits{}.max_decoder_bytes);
  CHECK(options.max_file_bytes == LoaderOptions{}.max_file_bytes);
}
