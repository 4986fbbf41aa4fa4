#include <doctest/doctest.h>

#include <chrono>

#include "pipeline/read_ahead_window.h"

using ringfeed::pipeline::ReadAheadWindow;
using namespace std::chrono_literals;

namespace {

/// Tells a window the time, and how long its decoders have waited.
struct Run {
  ReadAheadWindow window;
  ReadAheadWindow::Clock::time_point now{1h};

  bool open_after(ReadAheadWindow::Clock::duration passed,
                  ReadAheadWindow::Clock::duration waited) {
    window.note(now += passed, waited);
    return window.open();
  }
};

}  // namespace

TEST_CASE("a window begins with 64 files a decoder, or with the depth where that is less") {
  CHECK(ReadAheadWindow(640, 5120, 2).size() == 128);
  CHECK(ReadAheadWindow(100, 800, 2).size() == 100);
  CHECK_FALSE(ReadAheadWindow(100, 800, 2).open());
}

TEST_CASE("a window opens to all of it, for good, once every decoder has waited its patience") {
  Run run{ReadAheadWindow(640, 5120, 2)};
  CHECK_FALSE(run.open_after(0ms, 0ms));
  CHECK_FALSE(run.open_after(5ms, 10ms));
  CHECK_FALSE(run.open_after(4ms, 8ms));
  CHECK(run.window.size() == 128);
  CHECK(run.open_after(2ms, 4ms));
  CHECK(run.window.size() == 5120);
  CHECK(run.open_after(1h, 0ms));
}

TEST_CASE("waiting is forgiven at a hundredth of the time") {
  Run run{ReadAheadWindow(640, 5120, 1)};
  for (int step = 0; step < 1000; ++step) REQUIRE_FALSE(run.open_after(100ms, 900us));
  Run worse{ReadAheadWindow(640, 5120, 1)};
  int steps = 1;
  while (!worse.open_after(100ms, 1100us) && steps < 1000) ++steps;
  CHECK(steps > 80);
  CHECK(steps < 100);
}
