// Any bytes through the GGUF reader; every tensor that it gives must lie inside of them, and can be read as f32 where it says so.
#include "runtime/data/Error.h"
#include "runtime/weights/Stored.h"
#include "tests/fuzz/AllocationLimit.h"
#include "tests/runtime/weights/fuzz/ReadSome.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  namespace w = bigm::weights;
  std::vector<w::StoredTensor> tensors;
  try {
    bigm::fuzz::AllocationLimit limit(size, 32); // as Stored.h says
    tensors = w::parseGguf(data, size, "fuzz");
  } catch (const bigm::data::Error &) {
    return 0;
  }
  for (const w::StoredTensor &t : tensors)
    if (t.data < data || t.bytes > size_t(data + size - t.data))
      std::abort();
  bigm::fuzz::readSome(tensors);
  return 0;
}
