// Elements of stored tensors as numbers.
#include "Blocks.h"
#include "Stored.h"
#include "runtime/core/Floats.h"
#include <bit>
#include <cstring>

namespace bigm::weights {
namespace {

template <class T> T load(const uint8_t *from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
/// To the nearest, ties to even, as IEEE 754 says.
uint16_t toBrain(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return uint16_t(bits >> 16 | 64);
  return uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
float halfAt(const uint8_t *from) { return rt::fromHalf(load<uint16_t>(from)); }

bool floating(data::Elem e) {
  return e == data::Elem::F32 || e == data::Elem::F64 || e == data::Elem::BF16;
}
template <class Put> void eachFloat(const StoredTensor &t, Put put) {
  auto plain = [&](size_t size, auto value) {
    for (int64_t i = 0, n = t.count(); i < n; ++i)
      put(i, value(t.data + size_t(i) * size));
  };
  if (const BlockForm *form = blockForm(t.encoding)) {
    float values[256];
    for (int64_t i = 0, n = t.count(); i < n; i += form->elements) {
      form->decode(t.data + size_t(i / form->elements) * form->bytes, values);
      for (int64_t k = 0; k < form->elements; ++k)
        put(i + k, values[k]);
    }
    return;
  }
  switch (t.encoding) {
  case Encoding::F32: return plain(4, load<float>);
  case Encoding::F64: return plain(8, load<double>);
  case Encoding::F16: return plain(2, halfAt);
  case Encoding::BF16: return plain(2, [](const uint8_t *p) { return rt::fromBrain(load<uint16_t>(p)); });
  case Encoding::ScaledU8: return plain(1, [&](const uint8_t *p) { return float(*p) * t.scale + t.least; });
  case Encoding::ScaledU16: return plain(2, [&](const uint8_t *p) { return float(load<uint16_t>(p)) * t.scale + t.least; });
  default: return;
  }
}

/// The encoding that is the element type itself.
bool same(Encoding from, data::Elem to) { return int(from) == int(to) && from <= Encoding::Bool; }
static_assert(int(Encoding::F32) == int(data::Elem::F32) && int(Encoding::Bool) == int(data::Elem::Bool));

} // namespace

bool readable(Encoding from, data::Elem to) {
  bool floats = from <= Encoding::F16 || (from >= Encoding::Q2_K && from <= Encoding::ScaledU16);
  return same(from, to) || (floats && floating(to));
}

void read(const StoredTensor &from, data::Elem to, void *out) {
  if (same(from.encoding, to)) {
    if (from.bytes)
      std::memcpy(out, from.data, from.bytes);
    return;
  }
  if (to == data::Elem::F32)
    eachFloat(from, [&](int64_t i, auto v) { static_cast<float *>(out)[i] = float(v); });
  else if (to == data::Elem::F64)
    eachFloat(from, [&](int64_t i, auto v) { static_cast<double *>(out)[i] = double(v); });
  else
    eachFloat(from, [&](int64_t i, auto v) { static_cast<uint16_t *>(out)[i] = toBrain(float(v)); });
}

} // namespace bigm::weights
