// Elements of stored tensors as numbers. The blocks of GGUF's encodings, as ggml defines them:
//   Q8_0  32 elements: f16 d, 32 x i8 q                      d * q
//   Q4_0  32 elements: f16 d, 16 bytes of two q              d * (q - 8); low halves first
//   Q4_K  256 elements: f16 d, f16 least, 12 bytes of 8 scales s and 8 offsets m of six bits, 128 bytes of two q
//                                                            d * s * q - least * m for each 32
//   Q6_K  256 elements: 128 bytes of low and 64 bytes of high bits of q, 16 x i8 scale s, f16 d
//                                                            d * s * (q - 32) for each 16
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

void q8_0(const uint8_t *block, float *out) {
  float d = halfAt(block);
  for (int i = 0; i < 32; ++i)
    out[i] = d * float(int8_t(block[2 + i]));
}
void q4_0(const uint8_t *block, float *out) {
  float d = halfAt(block);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * float(int(block[2 + i] & 15) - 8);
    out[i + 16] = d * float(int(block[2 + i] >> 4) - 8);
  }
}
void q4_k(const uint8_t *block, float *out) {
  float d = halfAt(block), least = halfAt(block + 2);
  const uint8_t *packed = block + 4, *q = block + 16;
  auto six = [&](int i) { // scale and offset of group i
    if (i < 4)
      return std::pair(packed[i] & 63, packed[i + 4] & 63);
    return std::pair((packed[i + 4] & 15) | (packed[i - 4] >> 6) << 4, (packed[i + 4] >> 4) | (packed[i] >> 6) << 4);
  };
  for (int group = 0; group < 8; group += 2, q += 32, out += 64) {
    auto [lowScale, lowOffset] = six(group);
    auto [highScale, highOffset] = six(group + 1);
    for (int i = 0; i < 32; ++i) {
      out[i] = d * float(lowScale) * float(q[i] & 15) - least * float(lowOffset);
      out[i + 32] = d * float(highScale) * float(q[i] >> 4) - least * float(highOffset);
    }
  }
}
void q6_k(const uint8_t *block, float *out) {
  const uint8_t *low = block, *high = block + 128;
  auto *scale = reinterpret_cast<const int8_t *>(block + 192);
  float d = halfAt(block + 208);
  for (int half = 0; half < 2; ++half, low += 64, high += 32, scale += 8, out += 128)
    for (int i = 0; i < 32; ++i)
      for (int part = 0; part < 4; ++part) {
        int nibble = part < 2 ? low[i + 32 * part] & 15 : low[i + 32 * (part - 2)] >> 4;
        int q = (nibble | ((high[i] >> (2 * part)) & 3) << 4) - 32;
        out[i + 32 * part] = d * float(scale[i / 16 + 2 * part]) * float(q);
      }
}

bool floating(data::Elem e) {
  return e == data::Elem::F32 || e == data::Elem::F64 || e == data::Elem::BF16;
}
template <class Put> void eachFloat(const StoredTensor &t, Put put) {
  auto plain = [&](size_t size, auto value) {
    for (int64_t i = 0, n = t.count(); i < n; ++i)
      put(i, value(t.data + size_t(i) * size));
  };
  auto blocks = [&](size_t bytes, int64_t elements, auto decode) {
    float values[256];
    for (int64_t i = 0, n = t.count(); i < n; i += elements) {
      decode(t.data + size_t(i / elements) * bytes, values);
      for (int64_t k = 0; k < elements; ++k)
        put(i + k, values[k]);
    }
  };
  switch (t.encoding) {
  case Encoding::F32: return plain(4, load<float>);
  case Encoding::F64: return plain(8, load<double>);
  case Encoding::F16: return plain(2, halfAt);
  case Encoding::BF16: return plain(2, [](const uint8_t *p) { return rt::fromBrain(load<uint16_t>(p)); });
  case Encoding::Q8_0: return blocks(34, 32, q8_0);
  case Encoding::Q4_0: return blocks(18, 32, q4_0);
  case Encoding::Q4_K: return blocks(144, 256, q4_k);
  case Encoding::Q6_K: return blocks(210, 256, q6_k);
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
  bool floats = from <= Encoding::F16 || (from >= Encoding::Q4_0 && from <= Encoding::ScaledU16);
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
