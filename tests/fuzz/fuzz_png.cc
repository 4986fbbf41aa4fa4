// A PNG, whole and in part: the same verdict, the same pixels, within the limits.
#include <fuzzer/FuzzedDataProvider.h>

#include "decode/png/decoder.h"
#include "fuzz/attempt.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringfeed;
  using namespace ringfeed::fuzz;
  FuzzedDataProvider input(data, size);
  DecodeLimits limits = small_limits();
  limits.load_truncated = input.ConsumeIntegralInRange(0, 3) == 0;
  std::uint16_t numbers[4];
  for (auto& number : numbers) number = input.ConsumeIntegral<std::uint16_t>();
  const std::vector<std::uint8_t> file = input.ConsumeRemainingBytes<std::uint8_t>();
  static constexpr std::uint8_t signature[] = {0x89, 'P', 'N', 'G', 0x0D, 0x0A, 0x1A, 0x0A};
  if (file.size() < 8 || !std::equal(signature, signature + 8, file.begin())) return -1;

  decode::PngDecoder decoder(limits);
  const Attempt all = attempt(decoder, file, whole());
  must_agree(all, attempt(decoder, file, part(numbers)), "a part");
  must_agree(all, attempt(decoder, file, whole()), "again");
  return 0;
}
