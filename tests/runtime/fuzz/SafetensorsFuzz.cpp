// Feeds any bytes to the safetensors reader; every entry it gives must lie inside of them.
#include "runtime/core/Failure.h"
#include "runtime/core/Safetensors.h"
#include "tests/fuzz/AllocationLimit.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  try {
    bigm::fuzz::AllocationLimit limit(size, 64); // as Safetensors.h says
    for (const auto &entry : bigm::rt::parseSafetensors(data, size, "fuzz"))
      if (entry.data < data || entry.bytes > size_t(data + size - entry.data))
        std::abort();
  } catch (const bigm::rt::Failure &) {
  }
  return 0;
}
