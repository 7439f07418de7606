// Any bytes through the GGUF reader; every tensor that it gives must lie inside of them, and can be read as f32 where it says so.
// What they say of a vocabulary is an error or a tokenizer, whose ids are below its size.
#include "runtime/data/Error.h"
#include "runtime/weights/GgufTokenizer.h"
#include "runtime/weights/Stored.h"
#include "tests/fuzz/AllocationLimit.h"
#include "tests/runtime/weights/fuzz/ReadSome.h"

static void readTokenizer(const uint8_t *data, size_t size) {
  using namespace bigm;
  try {
    std::string json;
    {
      fuzz::AllocationLimit limit(size + 16384, 128); // as GgufTokenizer.h says
      json = weights::ggufTokenizerJson(data, size, "fuzz");
    }
    auto tokenizer = text::Tokenizer::fromJson(json, "fuzz");
    auto ids = tokenizer.encode(" The naïve 狗, 10x\t<s>▁").ids;
    for (int32_t id : ids)
      if (id < 0 || id >= tokenizer.size())
        std::abort();
    tokenizer.decode(ids, false);
  } catch (const data::Error &) {
  } catch (const text::Error &) {
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  namespace w = bigm::weights;
  readTokenizer(data, size);
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
