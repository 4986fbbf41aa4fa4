#include <doctest/doctest.h>

#include <string>

#include "base/printable.h"

using ringfeed::printable;

TEST_CASE("what a terminal would obey is written out") {
  CHECK(printable("a\nb\tc\rd") == "a\\nb\\tc\\rd");
  CHECK(printable("\x1b[2J\x7f\x01") == "\\x1b[2J\\x7f\\x01");
  CHECK(printable(std::string("a\0b", 3)) == "a\\x00b");
  CHECK(printable("\xc2\x9b"
                  "31m\xc2\x85") == "\\x9b31m\\x85");
}

TEST_CASE("no byte of the second half of the controls stays outside of a character") {
  CHECK(printable("a\x9b") == "a\\x9b");
  CHECK(printable("\xe2\x9b") == "\xe2\\x9b");           // a character that is cut
  CHECK(printable("\xc0\x9b") == "\xc0\\x9b");           // too long a form
  CHECK(printable("\xe0\x80\x9b") == "\xe0\\x80\\x9b");  // likewise
}

TEST_CASE("names in any script, and bytes that are no UTF-8, stay as they are") {
  for (const char* name : {"plain.jpg", "na\xc3\xafve", "\xc3\x9b", "\xe2\x9b\x84",
                           "\xf0\x9f\x9b\x91", "\xff.jpg", "caf\xe9", "\xc2\xa0"}) {
    CHECK(printable(name) == name);
  }
}
