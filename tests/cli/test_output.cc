#include <doctest/doctest.h>

#include "output.h"

using namespace ringfeed;
using namespace ringfeed::cli;

TEST_CASE("numbers come in units that people read") {
  CHECK(human_bytes(12) == "12 B");
  CHECK(human_bytes(1536) == "1.5 KiB");
  CHECK(human_bytes(64.0 * (1 << 20)) == "64 MiB");
  CHECK(human_count(7) == "7");
  CHECK(human_count(999) == "999");
  CHECK(human_count(1281167) == "1,281,167");
  CHECK(human_micros(850) == "850 us");
  CHECK(human_micros(41500) == "41.5 ms");
  CHECK(human_micros(2e6) == "2.0 s");
}

TEST_CASE("a rate over no time is zero and not infinite") { CHECK(per_second(5, 0) == 0); }

TEST_CASE("table columns line up and lines end without blanks") {
  Table table;
  table.row({"stage", "count", "note"});
  table.row({"read", "12,345"});
  CHECK(table.str() == "stage   count  note\nread   12,345\n");
}

TEST_CASE("text from file names cannot break a line or the terminal") {
  CHECK(one_line("a\nb\x1b[31mc\x7f") == "a b\\x1b[31mc\\x7f");
  CHECK(one_line("na\xc3\xafve") == "na\xc3\xafve");
}

TEST_CASE("an error keeps its parts in JSON") {
  const Json json = to_json(Error{Stage::decode, 0, "/data/x.JPEG", "truncated"});
  CHECK(json["stage"] == "decode");
  CHECK(json["path"] == "/data/x.JPEG");
  CHECK(json["message"] == "decode: /data/x.JPEG: truncated");
}
