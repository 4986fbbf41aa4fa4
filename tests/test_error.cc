#include <doctest/doctest.h>

#include <map>
#include <string>

#include "ringfeed/loader.h"

using namespace ringfeed;

namespace {

/// The name of a field that is there: another does not compile.
#define FIELD(options, path) (static_cast<void>(sizeof(std::declval<options>().path)), #path)

const std::map<Option, std::string> fields{
    {Option::batch_size, FIELD(LoaderOptions, batch_size)},
    {Option::num_workers, FIELD(LoaderOptions, num_workers)},
    {Option::prefetch_factor, FIELD(LoaderOptions, prefetch_factor)},
    {Option::rank, FIELD(LoaderOptions, rank)},
    {Option::world_size, FIELD(LoaderOptions, world_size)},
    {Option::timeout, FIELD(LoaderOptions, timeout)},
    {Option::memory_limit, FIELD(LoaderOptions, memory_limit)},
    {Option::depth, FIELD(LoaderOptions, depth)},
    {Option::read_ahead_bytes, FIELD(LoaderOptions, read_ahead_bytes)},
    {Option::max_file_bytes, FIELD(LoaderOptions, max_file_bytes)},
    {Option::max_pixels, FIELD(LoaderOptions, limits.max_pixels)},
    {Option::max_scans, FIELD(LoaderOptions, limits.max_scans)},
    {Option::max_decoder_bytes, FIELD(LoaderOptions, limits.max_decoder_bytes)},
    {Option::max_canvas_bytes, FIELD(LoaderOptions, limits.max_canvas_bytes)},
    {Option::load_truncated, FIELD(LoaderOptions, limits.load_truncated)},
    {Option::allow_empty, std::string("ScanOptions::") + FIELD(ScanOptions, allow_empty)},
    {Option::on_error, FIELD(LoaderOptions, on_error)},
    {Option::max_failures, FIELD(LoaderOptions, max_failures)},
    {Option::retries, FIELD(LoaderOptions, retries)},
};

/// Those that one file or folder can be refused for.
constexpr Option of_a_file[] = {
    Option::depth,          Option::max_file_bytes,    Option::max_pixels,
    Option::max_scans,      Option::max_decoder_bytes, Option::max_canvas_bytes,
    Option::load_truncated, Option::allow_empty,       Option::max_failures,
    Option::num_workers};

std::string_view nameless(Option) noexcept { return "THAT"; }

}  // namespace

TEST_CASE("every option that an error can name is a field") {
  int count = 0;
  for (int i = 1; !field_name(static_cast<Option>(i)).empty(); ++i, ++count) {
    const auto option = static_cast<Option>(i);
    REQUIRE(fields.contains(option));
    CHECK(field_name(option) == fields.at(option));
  }
  CHECK(count == std::ssize(fields));
}

TEST_CASE("an error says what is wrong, then what to do with its option") {
  for (const Option option : of_a_file) {
    const Error error{Stage::decode, 0, "x.jpg", "what is wrong", option};
    CHECK(error.message() == "decode: x.jpg: " + error.advice());
    CHECK(error.advice().starts_with("what is wrong"));
    CHECK(error.advice().find(fields.at(option)) != std::string::npos);
    CHECK(LoadError(error).what() == error.message());
  }
}

TEST_CASE("another face's names take the place of C++'s, and nothing else names an option") {
  for (const Option option : of_a_file) {
    const Error error{Stage::read, 0, "x.jpg", "what is wrong", option};
    CHECK(error.advice(nameless).find("THAT") != std::string::npos);
    CHECK(error.message(nameless).find(fields.at(option)) == std::string::npos);
  }
  CHECK(Error{Stage::read, 0, "x.jpg", "what is wrong"}.advice() == "what is wrong");
}

TEST_CASE("no control character of a name is in a message, and the path keeps it") {
  const std::string name = "a\x1b[2J\n.jpg";
  const Error error{Stage::scan, 0, name, "such as " + name, Option::allow_empty};
  CHECK(error.message().starts_with("scan: a\\x1b[2J\\n.jpg: such as a\\x1b[2J\\n.jpg; "));
  CHECK(LoadError(error).what() == error.message());
  CHECK(LoadError(error).error().path == name);
}

TEST_CASE("an option error puts the names of a face where its text leaves room for them") {
  const OptionError error("{} must be in [0, {})", {Option::rank, Option::world_size});
  CHECK(error.what() == std::string("rank must be in [0, world_size)"));
  CHECK(error.message(nameless) == "THAT must be in [0, THAT)");
  CHECK(OptionError("no name", {}).message(nameless) == "no name");
}
