#include "decode/jpeg/entropy/preference.h"

namespace ringfeed::decode {

CpuMaker cpu_maker() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_is("amd")) return CpuMaker::amd;
#endif
  return CpuMaker::other;
}

EntropyChoice preferred(CpuMaker maker, bool has_lanes, const std::function<bool()>& lanes_pay) {
  if (!has_lanes) return {EntropyBackend::streams, "this CPU has no AVX-512 with VBMI2 for lanes"};
  if (maker == CpuMaker::amd) return {EntropyBackend::streams, "lanes are slower on AMD"};
  if (lanes_pay()) return {EntropyBackend::lanes, "lanes were faster in a test picture"};
  return {EntropyBackend::streams, "lanes were not faster in a test picture"};
}

}  // namespace ringfeed::decode
