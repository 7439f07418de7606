// Elements of the file's tensors as numbers, and numbers as bytes: every type that ONNX has, in the widths that it is held in.
#include "OnnxFold.h"
#include <bit>
#include <cmath>
#include <cstring>

namespace bigm::sema::onnx_import {
namespace {

using Elements = std::vector<Number>;

double half(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double value = exponent == 31 ? (fraction ? NAN : INFINITY)
                 : exponent     ? std::ldexp(1024 + fraction, exponent - 25)
                                : std::ldexp(fraction, -24);
  return bits & 0x8000 ? -value : value;
}

/// To the nearest float of so many bits of fraction, the even one of two; overflow is infinite.
double nearest(double x, int bits, int least, double largest) {
  if (x == 0 || !std::isfinite(x))
    return x;
  int exponent = std::max(std::ilogb(x), least);
  double unit = std::ldexp(1.0, exponent - bits), r = std::nearbyint(x / unit) * unit;
  return std::fabs(r) > largest ? std::copysign(INFINITY, x) : r;
}
uint16_t halfBits(double x) {
  x = rounded(x, Type::F16);
  uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  x = std::fabs(x);
  if (std::isnan(x))
    return sign | 0x7e00;
  if (std::isinf(x))
    return sign | 0x7c00;
  if (x < std::ldexp(1.0, -14))
    return sign | uint16_t(std::ldexp(x, 24));
  int exponent = std::ilogb(x);
  return sign | uint16_t((exponent + 15) << 10) | uint16_t(std::ldexp(x, 10 - exponent) - 1024);
}

} // namespace

Number elementAt(const onnx::Tensor &t, int64_t i) {
  const char *data = t.bytes.view.data();
  auto get = [&]<class T>(T value) {
    std::memcpy(&value, data + i * int64_t(sizeof value), sizeof value);
    return value;
  };
  auto whole = [](int64_t n) { return Number{Dim(n), 0}; };
  switch (t.type) {
  case Type::F32: return {Dim(), get(float())};
  case Type::F64: return {Dim(), get(double())};
  case Type::F16: return {Dim(), half(get(uint16_t()))};
  case Type::BF16: return {Dim(), std::bit_cast<float>(uint32_t(get(uint16_t())) << 16)};
  case Type::U8: return whole(get(uint8_t()));
  case Type::I8: return whole(get(int8_t()));
  case Type::U16: return whole(get(uint16_t()));
  case Type::I16: return whole(get(int16_t()));
  case Type::I32: return whole(get(int32_t()));
  case Type::U32: return whole(get(uint32_t()));
  case Type::Bool: return whole(get(uint8_t()) != 0);
  case Type::U4: return whole(uint8_t(data[i / 2]) >> (i % 2 * 4) & 15);
  case Type::I4: return whole(int8_t(uint8_t(data[i / 2] >> (i % 2 * 4) << 4)) >> 4);
  default: return whole(get(int64_t()));
  }
}

double rounded(double x, Type type) {
  switch (type) {
  case Type::F32: return float(x);
  case Type::F16: return nearest(x, 10, -14, 65504);
  case Type::BF16: return nearest(float(x), 7, -126, 3.3895313892515355e38);
  default: return x;
  }
}
unsigned sizeOf(Elem e) {
  switch (e) {
  case Elem::F64: case Elem::I64: return 8;
  case Elem::F32: case Elem::I32: return 4;
  case Elem::F16: case Elem::BF16: return 2;
  default: return 1;
  }
}

std::shared_ptr<const Elements> elementsOf(const onnx::Tensor &t) {
  auto count = onnx::countOf(t.shape);
  if (!count || *count > kFoldLimit || t.type == Type::String)
    return nullptr;
  auto out = std::make_shared<Elements>();
  for (int64_t i = 0; i < *count; ++i)
    out->push_back(elementAt(t, i));
  return out;
}

static void append(std::string &out, const Number &n, Elem elem) {
  auto put = [&](auto value) { out.append(reinterpret_cast<const char *>(&value), sizeof value); };
  int64_t whole = n.whole.constant().value_or(0);
  switch (elem) {
  case Elem::F32: return put(float(n.real));
  case Elem::F64: return put(n.real);
  case Elem::F16: return put(halfBits(n.real));
  case Elem::BF16: return put(uint16_t(std::bit_cast<uint32_t>(float(rounded(n.real, Type::BF16))) >> 16));
  case Elem::I64: return put(whole);
  case Elem::I32: return put(int32_t(whole));
  default: return put(uint8_t(whole));
  }
}

std::string bytesOf(const Elements &elements, Elem elem) {
  std::string out;
  for (const Number &n : elements)
    append(out, n, elem);
  return out;
}

std::vector<double> numbersOf(const onnx::Tensor &t) {
  std::vector<double> out;
  for (int64_t i = 0, n = onnx::countOf(t.shape).value_or(0); i < n; ++i) {
    Number number = elementAt(t, i);
    out.push_back(isFloat(t.type) ? number.real : double(*number.whole.constant()));
  }
  return out;
}

std::string widened(const onnx::Tensor &t, Elem elem) {
  std::string out;
  for (int64_t i = 0, n = onnx::countOf(t.shape).value_or(0); i < n; ++i)
    append(out, elementAt(t, i), elem);
  return out;
}

} // namespace bigm::sema::onnx_import
