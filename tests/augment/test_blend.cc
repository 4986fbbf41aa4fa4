#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>

#include "augment/blend.h"

namespace {

using ringfeed::augment::Blend;

int in_float(const Blend& by, int base, int value) {
  const float product = by.factor * static_cast<float>(value - base);
  const float sum = static_cast<float>(base) + product;
  return sum <= 0 ? 0 : sum >= 255 ? 255 : static_cast<int>(sum);
}

/// As 16-bit words hold it: a result that ran over would be a wrong one.
int in_words(const Blend& by, int base, int value) {
  const int difference = value - base;
  const int sum = (base << by.shift) + difference * by.high + (difference * by.low >> 16) + by.bias;
  if (!by.clips) return static_cast<std::uint16_t>(sum) >> by.shift;
  return std::clamp(static_cast<std::int16_t>(sum) >> by.shift, 0, 255);
}

/// Of all bases and values, if the blend says that words serve.
int wrong_pixels(const Blend& by) {
  int wrong = 0;
  for (int base = 0; by.in_words && base < 256; ++base) {
    for (int value = 0; value < 256; ++value) {
      wrong += in_words(by, base, value) != in_float(by, base, value) ? 1 : 0;
    }
  }
  return wrong;
}

TEST_CASE("where a blend in words is chosen it gives the float's results") {
  for (int i = -300; i <= 900; ++i) {
    for (const float factor : {static_cast<float>(i / 100.0), static_cast<float>(i) * 0.03f}) {
      CAPTURE(factor);
      CHECK(wrong_pixels(Blend(factor)) == 0);
    }
  }
}

TEST_CASE("words serve nearly all random factors") {
  std::mt19937 random(1);
  int served = 0;
  for (int i = 0; i < 1000; ++i) {
    const Blend by(static_cast<float>(random()) * 0x3p-32f);
    CAPTURE(by.factor);
    CHECK(wrong_pixels(by) == 0);
    served += by.in_words ? 1 : 0;
  }
  CHECK(served > 970);
}

TEST_CASE("words do not serve a factor whose results lie outside them") {
  for (const float factor : {8.1f, -7.5f, 1e12f, -1e30f}) CHECK_FALSE(Blend(factor).in_words);
}

}  // namespace
