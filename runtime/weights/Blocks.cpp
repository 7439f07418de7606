// The blocks of GGUF's encodings, as ggml defines them. d and m are f16; q is unsigned unless it says otherwise.
//   Q8_0    32 elements: d, 32 x i8 q                          d * q
//   Q4_0    32 elements: d, 16 bytes of two q                  d * (q - 8); the low halves are the first 16
//   Q4_1    32 elements: d, m, 16 bytes of two q               d * q + m
//   IQ4_NL  32 elements: d, 16 bytes of two q                  d * table[q]
//   IQ4_XS  256 elements: d, 16 high bits of 8 scales s of six bits, 4 bytes of two low ones, 128 bytes of two q
//                                                              d * (s - 32) * table[q] for each 32
//   MXFP4   32 elements: an exponent e, 16 bytes of two q      2^(e - 128) * table[q]
//   Q5_0    32 elements: d, 32 fifth bits, 16 bytes of two q   d * (q - 16)
//   Q5_1    32 elements: d, m, 32 fifth bits, 16 bytes         d * q + m
//   Q4_K    256 elements: d, m, 12 bytes of 8 scales s and 8 offsets o of six bits, 128 bytes of two q
//                                                              d * s * q - m * o for each 32
//   Q5_K    256 elements: the same, with 32 bytes of fifth bits before the q
//   Q6_K    256 elements: 128 bytes of low and 64 bytes of high bits of q, 16 x i8 scale s, d
//                                                              d * s * (q - 32) for each 16
//   Q2_K    256 elements: 16 bytes of a scale s and an offset o, 64 bytes of four q, d, m
//                                                              d * s * q - m * o for each 16
//   Q3_K    256 elements: 32 bytes of third bits, 64 bytes of four q, 12 bytes of 16 scales s of six bits, d
//                                                              d * (s - 32) * (q - 4) for each 16
#include "Blocks.h"
#include "runtime/core/Floats.h"
#include <cmath>
#include <cstring>
#include <utility>

namespace bigm::weights {
namespace {

float halfAt(const uint8_t *from) {
  uint16_t bits;
  std::memcpy(&bits, from, sizeof bits);
  return rt::fromHalf(bits);
}
uint32_t wordAt(const uint8_t *from) {
  uint32_t bits;
  std::memcpy(&bits, from, sizeof bits);
  return bits;
}

void q8_0(const uint8_t *block, float *out) {
  float d = halfAt(block);
  for (int i = 0; i < 32; ++i)
    out[i] = d * float(int8_t(block[2 + i]));
}
/// 32 elements of four or five bits: what `value` makes of each.
template <class Value> void nibbles(const uint8_t *q, uint32_t fifth, float *out, Value value) {
  for (int i = 0; i < 16; ++i) {
    out[i] = value((q[i] & 15) | (fifth >> i & 1) << 4);
    out[i + 16] = value((q[i] >> 4) | (fifth >> (i + 16) & 1) << 4);
  }
}
void q4_0(const uint8_t *block, float *out) {
  float d = halfAt(block);
  nibbles(block + 2, 0, out, [&](int q) { return d * float(q - 8); });
}
void q4_1(const uint8_t *block, float *out) {
  float d = halfAt(block), m = halfAt(block + 2);
  nibbles(block + 4, 0, out, [&](int q) { return d * float(q) + m; });
}
constexpr int8_t kUneven[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
void iq4_nl(const uint8_t *block, float *out) {
  float d = halfAt(block);
  nibbles(block + 2, 0, out, [&](int q) { return d * float(kUneven[q]); });
}
void iq4_xs(const uint8_t *block, float *out) {
  float d = halfAt(block);
  uint32_t high = block[2] | uint32_t(block[3]) << 8;
  for (int group = 0; group < 8; ++group) {
    int low = block[4 + group / 2] >> (4 * (group % 2)) & 15, scale = (low | int(high >> (2 * group) & 3) << 4) - 32;
    nibbles(block + 8 + 16 * group, 0, out + 32 * group, [&](int q) { return d * float(scale) * float(kUneven[q]); });
  }
}
void mxfp4(const uint8_t *block, float *out) {
  static constexpr int8_t table[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}; // doubled
  float d = std::ldexp(1.f, int(block[0]) - 128);
  nibbles(block + 1, 0, out, [&](int q) { return d * float(table[q]); });
}
void q5_0(const uint8_t *block, float *out) {
  float d = halfAt(block);
  nibbles(block + 6, wordAt(block + 2), out, [&](int q) { return d * float(q - 16); });
}
void q5_1(const uint8_t *block, float *out) {
  float d = halfAt(block), m = halfAt(block + 2);
  nibbles(block + 8, wordAt(block + 4), out, [&](int q) { return d * float(q) + m; });
}
/// Eight groups of 32 with scales and offsets of six bits each; `fifth` may be null.
void groups(const uint8_t *block, const uint8_t *fifth, const uint8_t *q, float *out) {
  float d = halfAt(block), least = halfAt(block + 2);
  const uint8_t *packed = block + 4;
  auto six = [&](int i) { // scale and offset of group i
    if (i < 4)
      return std::pair(packed[i] & 63, packed[i + 4] & 63);
    return std::pair((packed[i + 4] & 15) | (packed[i - 4] >> 6) << 4, (packed[i + 4] >> 4) | (packed[i] >> 6) << 4);
  };
  for (int group = 0; group < 8; group += 2, q += 32, out += 64) {
    auto [lowScale, lowOffset] = six(group);
    auto [highScale, highOffset] = six(group + 1);
    for (int i = 0; i < 32; ++i) {
      int above = fifth ? fifth[i] >> group : 0;
      out[i] = d * float(lowScale) * float((q[i] & 15) | (above & 1) << 4) - least * float(lowOffset);
      out[i + 32] = d * float(highScale) * float((q[i] >> 4) | (above >> 1 & 1) << 4) - least * float(highOffset);
    }
  }
}
void q4_k(const uint8_t *block, float *out) { groups(block, nullptr, block + 16, out); }
void q5_k(const uint8_t *block, float *out) { groups(block, block + 16, block + 48, out); }
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

void q2_k(const uint8_t *block, float *out) {
  const uint8_t *scale = block, *q = block + 16;
  float d = halfAt(block + 80), least = halfAt(block + 82);
  for (int half = 0; half < 2; ++half, q += 32)
    for (int part = 0; part < 4; ++part)
      for (int i = 0; i < 32; i += 16, ++scale)
        for (int k = i; k < i + 16; ++k)
          *out++ = d * float(*scale & 15) * float(q[k] >> (2 * part) & 3) - least * float(*scale >> 4);
}
void q3_k(const uint8_t *block, float *out) {
  const uint8_t *third = block, *q = block + 32, *packed = block + 96;
  float d = halfAt(block + 108);
  int group = 0;
  for (int half = 0; half < 2; ++half, q += 32)
    for (int part = 0; part < 4; ++part)
      for (int i = 0; i < 32; i += 16, ++group) {
        int low = group < 8 ? packed[group] & 15 : packed[group - 8] >> 4;
        int scale = (low | (packed[8 + group % 4] >> (2 * (group / 4)) & 3) << 4) - 32;
        for (int k = i; k < i + 16; ++k)
          *out++ = d * float(scale) * float((q[k] >> (2 * part) & 3) - (third[k] >> (4 * half + part) & 1 ? 0 : 4));
      }
}
} // namespace

const BlockForm *blockForm(Encoding encoding) {
  static constexpr std::pair<Encoding, BlockForm> forms[] = {
      {Encoding::Q2_K, {256, 84, q2_k}},  {Encoding::Q3_K, {256, 110, q3_k}}, {Encoding::Q4_0, {32, 18, q4_0}},
      {Encoding::Q4_1, {32, 20, q4_1}},   {Encoding::Q4_K, {256, 144, q4_k}}, {Encoding::IQ4_NL, {32, 18, iq4_nl}},
      {Encoding::IQ4_XS, {256, 136, iq4_xs}}, {Encoding::MXFP4, {32, 17, mxfp4}},
      {Encoding::Q5_0, {32, 22, q5_0}},   {Encoding::Q5_1, {32, 24, q5_1}},   {Encoding::Q5_K, {256, 176, q5_k}},
      {Encoding::Q6_K, {256, 210, q6_k}}, {Encoding::Q8_0, {32, 34, q8_0}}};
  for (auto &[known, form] : forms)
    if (known == encoding)
      return &form;
  return nullptr;
}

} // namespace bigm::weights
