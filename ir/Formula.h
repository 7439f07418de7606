// What the formulas of BigmOps.td are made of.
//
// A value formula such as `1.0 / (1.0 + exp(-x))` is compiled twice: for doubles, and for Scalar, whose operators emit
// arith and math ops on scalars or vectors. A gradient formula such as `dy * cos(x)` is compiled for Tensor, whose
// operators emit bigm ops. Only generated code and the dialect's own sources include this file.
#pragma once
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributeInterfaces.h"
#include <cmath>
#include <limits>

namespace mlir::bigm::formula {

// ---------------------------------------------------------------- numbers
using std::abs;
using std::atan;
using std::ceil;
using std::cos;
using std::erf;
using std::exp;
using std::expm1;
using std::floor;
using std::log;
using std::log1p;
using std::pow;
using std::sin;
using std::sqrt;
using std::tanh;
inline double sign(double x) { return x != x ? x : (x > 0) - (x < 0); }
inline double rsqrt(double x) { return 1 / std::sqrt(x); }
inline double roundEven(double x) { return std::nearbyint(x); }
inline double mod(double x, double y) { return std::fmod(x, y); }
inline double bitAnd(double x, double y) { return double(int64_t(x) & int64_t(y)); }
inline double bitOr(double x, double y) { return double(int64_t(x) | int64_t(y)); }
inline double bitXor(double x, double y) { return double(int64_t(x) ^ int64_t(y)); }
inline double shiftLeft(double x, double y) { return y < 64 ? double(int64_t(uint64_t(int64_t(x)) << int64_t(y))) : 0; }
inline double shiftRight(double x, double y) { return double(int64_t(x) >> int64_t(y < 63 ? y : 63)); }
inline double both(double x, double y) { return x != 0 && y != 0; }
inline double either(double x, double y) { return x != 0 || y != 0; }
inline double opposite(double x) { return x == 0; }
inline double select(double condition, double x, double y) { return condition != 0 ? x : y; }
inline double number(ArrayRef<double> operands, unsigned i) { return i < operands.size() ? operands[i] : 0; }

// ---------------------------------------------------------------- scalars and vectors
struct Scalar {
  OpBuilder *builder = nullptr;
  Location loc;
  Value value;
  bool isUnsigned = false; // how an integer is meant; its storage is signless

  Scalar(OpBuilder *builder, Location loc, Value value, bool isUnsigned = false)
      : builder(builder), loc(loc), value(value), isUnsigned(isUnsigned) {}
  Scalar with(Value other) const { return Scalar(builder, loc, other, isUnsigned); }
  /// A constant of this one's type.
  Scalar like(double number) const;
};
/// Operand i of `op`; empty when there are fewer. `typeFrom` names the operand whose element type says the sign.
Scalar scalar(OpBuilder &builder, Location loc, Operation *op, ValueRange operands, unsigned i, int typeFrom = -1);
/// A number as an attribute of an element type; infinities become the extremes of an integer type.
TypedAttr element(Type type, double number);
/// Converts to another element type of bigm (`from` and `to` may be ui8).
Value convert(OpBuilder &builder, Location loc, Value value, Type from, Type to);

Scalar operator-(Scalar x);
Scalar operator+(Scalar x, Scalar y);
Scalar operator-(Scalar x, Scalar y);
Scalar operator*(Scalar x, Scalar y);
Scalar operator/(Scalar x, Scalar y);
Scalar operator==(Scalar x, Scalar y);
Scalar operator!=(Scalar x, Scalar y);
Scalar operator<(Scalar x, Scalar y);
Scalar operator<=(Scalar x, Scalar y);
Scalar operator>(Scalar x, Scalar y);
Scalar operator>=(Scalar x, Scalar y);
inline Scalar operator+(double x, Scalar y) { return y.like(x) + y; }
inline Scalar operator/(double x, Scalar y) { return y.like(x) / y; }
Scalar abs(Scalar x);
Scalar sign(Scalar x);
Scalar exp(Scalar x);
Scalar log(Scalar x);
Scalar log1p(Scalar x);
Scalar expm1(Scalar x);
Scalar sqrt(Scalar x);
Scalar rsqrt(Scalar x);
Scalar sin(Scalar x);
Scalar cos(Scalar x);
Scalar atan(Scalar x);
Scalar tanh(Scalar x);
Scalar erf(Scalar x);
Scalar floor(Scalar x);
Scalar ceil(Scalar x);
Scalar roundEven(Scalar x);
Scalar pow(Scalar x, Scalar y);
Scalar mod(Scalar x, Scalar y);
Scalar bitAnd(Scalar x, Scalar y);
Scalar bitOr(Scalar x, Scalar y);
Scalar bitXor(Scalar x, Scalar y);
Scalar shiftLeft(Scalar x, Scalar y);
Scalar shiftRight(Scalar x, Scalar y);
Scalar both(Scalar x, Scalar y);
Scalar either(Scalar x, Scalar y);
Scalar opposite(Scalar x);
Scalar select(Scalar condition, Scalar x, Scalar y);

// ---------------------------------------------------------------- tensors
struct Tensor {
  OpBuilder *builder = nullptr;
  Location loc;
  Value value;
  Tensor(OpBuilder *builder, Location loc, Value value) : builder(builder), loc(loc), value(value) {}
  Tensor with(Value other) const { return Tensor(builder, loc, other); }
};
Tensor tensor(OpBuilder &builder, Location loc, Value value);
/// Operand i of `op`; empty when there are fewer.
Tensor operand(OpBuilder &builder, Operation *op, unsigned i);
/// A constant of the type of x.
Tensor like(Tensor x, double number);

Tensor operator-(Tensor x);
Tensor operator+(Tensor x, Tensor y);
Tensor operator-(Tensor x, Tensor y);
Tensor operator*(Tensor x, Tensor y);
Tensor operator/(Tensor x, Tensor y);
Tensor operator==(Tensor x, Tensor y);
Tensor operator<(Tensor x, Tensor y);
Tensor operator>(Tensor x, Tensor y);
inline Tensor operator+(Tensor x, double y) { return x + like(x, y); }
inline Tensor operator-(Tensor x, double y) { return x - like(x, y); }
inline Tensor operator-(double x, Tensor y) { return like(y, x) - y; }
inline Tensor operator*(Tensor x, double y) { return x * like(x, y); }
inline Tensor operator>(Tensor x, double y) { return x > like(x, y); }
Tensor sign(Tensor x);
Tensor exp(Tensor x);
Tensor log(Tensor x);
Tensor sin(Tensor x);
Tensor cos(Tensor x);
Tensor pow(Tensor x, Tensor y);
/// Toward zero.
Tensor truncate(Tensor x);
Tensor select(Tensor condition, Tensor x, Tensor y);

} // namespace mlir::bigm::formula
