// Any bytes as a tokenizer.json: an error or a tokenizer, which then turns a text into ids and back. Memory is bounded by
// the runner's -malloc_limit_mb; ids that come out are below size().
#include "runtime/text/Tokenizer.h"
#include <cstdint>
#include <cstdlib>

using namespace bigm::text;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // The first byte and as many after it are the text to encode.
  size_t cut = size > 0 ? std::min<size_t>(data[0], size - 1) : 0;
  std::string text(reinterpret_cast<const char *>(data) + (size > 0), cut);
  text += " The naïve 狗, 10x\t<s>▁";
  try {
    Tokenizer t = Tokenizer::fromJson(std::string(reinterpret_cast<const char *>(data) + (size > 0) + cut, size - (size > 0) - cut), "fuzz");
    Encoding e = t.encode(text, {.offsets = true});
    if (e.offsets.size() != e.ids.size())
      std::abort();
    for (Span s : e.offsets)
      if (s.begin > text.size() || s.end > text.size())
        std::abort();
    t.decode(e.ids, false);
    Decoder stream(t);
    std::string told;
    for (int32_t id : e.ids)
      stream.push(id, told);
    stream.finish(told);
    t.encode(text, text, {});
  } catch (const Error &) {
  }
  return 0;
}
