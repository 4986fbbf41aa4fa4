#include <doctest/doctest.h>

#include "io/size_guess.h"

namespace ringfeed::io {

TEST_CASE("the size guess rises at once for a large file and settles over most of the sizes") {
  SizeGuess guess(1 << 20);
  CHECK(guess.bytes() == 128 << 10);
  guess.raise(300 << 10);
  CHECK(guess.bytes() >= 300 << 10);
  for (int i = 0; i < 1000; ++i) guess.learn(50'000);
  CHECK(guess.bytes() >= 50'000);
  CHECK(guess.bytes() < 64 << 10);
  for (int i = 0; i < 1000; ++i) guess.learn(i % 10 == 0 ? 200'000 : 50'000);
  CHECK(guess.bytes() >= 200'000);
  guess.raise(1 << 30);
  CHECK(guess.bytes() <= 1 << 20);
}

}  // namespace ringfeed::io
