// Reads tensors of a file as f32 where that can be done, a million elements in all: tensors may share their bytes.
#pragma once
#include "runtime/weights/Stored.h"
#include <vector>

namespace bigm::fuzz {
inline void readSome(const std::vector<weights::StoredTensor> &tensors) {
  int64_t left = 1 << 20;
  for (const weights::StoredTensor &t : tensors) {
    if (!weights::readable(t.encoding, data::Elem::F32) || t.count() > left)
      continue;
    left -= t.count();
    std::vector<float> out(size_t(t.count()));
    weights::read(t, data::Elem::F32, out.data());
  }
}
} // namespace bigm::fuzz
