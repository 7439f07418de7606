// Blocks of elements in few bits, as GGUF has them.
#pragma once
#include "Stored.h"

namespace bigm::weights {

struct BlockForm {
  int64_t elements; // at most 256
  size_t bytes;
  void (*decode)(const uint8_t *block, float *out);
};
/// Nothing for encodings whose elements stand alone.
const BlockForm *blockForm(Encoding encoding);

} // namespace bigm::weights
