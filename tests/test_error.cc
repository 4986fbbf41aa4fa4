#include <doctest/doctest.h>

#include <map>
#include <string>

#include "ringfeed/loader.h"

using namespace ringfeed;

namespace {

/// The name of a field that is there: another does not compile.
#define FIELD(path) \
  (static_cast<void>(sizeof(std::declval<LoaderOptions>().path)), "LoaderOptions::" #path)

const std::map<Option, std::string> fields{
    {Option::num_workers, FIELD(num_workers)},
    {Option::depth, FIELD(depth)},
    {Option::read_ahead_bytes, FIELD(read_ahead_bytes)},
    {Option::max_file_bytes, FIELD(max_file_bytes)},
    {Option::max_pixels, FIELD(limits.max_pixels)},
    {Option::max_scans, FIELD(limits.max_scans)},
    {Option::max_decoder_bytes, FIELD(limits.max_decoder_bytes)},
    {Option::load_truncated, FIELD(limits.load_truncated)},
};

std::string_view nameless(Option) noexcept { return "THAT"; }

}  // namespace

TEST_CASE("every option that an error can name is a field of LoaderOptions") {
  int count = 0;
  for (int i = 1; !field_name(static_cast<Option>(i)).empty(); ++i, ++count) {
    const auto option = static_cast<Option>(i);
    REQUIRE(fields.contains(option));
    CHECK(field_name(option) == fields.at(option));
    const Error error{Stage::decode, 0, "x.jpg", "what is wrong", option};
    CHECK(error.message() == "decode: x.jpg: " + error.advice());
    CHECK(error.advice().starts_with("what is wrong"));
    CHECK(error.advice().find(fields.at(option)) != std::string::npos);
    CHECK(LoadError(error).what() == error.message());
  }
  CHECK(count == std::ssize(fields));
}

TEST_CASE("another face's names take the place of C++'s, and nothing else names an option") {
  for (const auto& [option, field] : fields) {
    const Error error{Stage::read, 0, "x.jpg", "what is wrong", option};
    CHECK(error.advice(nameless).find("THAT") != std::string::npos);
    CHECK(error.message(nameless).find("LoaderOptions") == std::string::npos);
  }
  CHECK(Error{Stage::read, 0, "x.jpg", "what is wrong"}.advice() == "what is wrong");
}
