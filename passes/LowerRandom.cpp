// Random numbers as arithmetic on places: no state, so that they are the same in any order and on any number of threads, and
// computed again where that is cheaper than keeping them.
#include "ir/Formula.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/LowerOps.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

/// Threefry-2x32, 20 rounds (docs/abi.md, "Random numbers").
Value kernel::lowerRandom(NestBuilder &b, RandomOp op) {
  return b.pointwise(op.getType(), [&](unsigned dims) {
    Type i32 = b.builder.getI32Type(), i64 = b.builder.getI64Type();
    auto constant = [&](uint64_t value, Type type) {
      return b.scalar(b.builder.getIntegerAttr(type, APInt(type.getIntOrFloatBitWidth(), value, false, true)));
    };
    auto low = [&](Value x) { return Value(arith::TruncIOp::create(b.builder, b.loc, i32, x)); };
    auto high = [&](Value x) {
      return low(arith::ShRUIOp::create(b.builder, b.loc, x, constant(32, i64)));
    };
    auto add = [&](Value x, Value y) { return Value(arith::AddIOp::create(b.builder, b.loc, x, y)); };
    auto exclusive = [&](Value x, Value y) { return Value(arith::XOrIOp::create(b.builder, b.loc, x, y)); };
    auto rotate = [&](Value x, unsigned by) {
      Value left = arith::ShLIOp::create(b.builder, b.loc, x, constant(by, i32));
      Value right = arith::ShRUIOp::create(b.builder, b.loc, x, constant(32 - by, i32));
      return Value(arith::OrIOp::create(b.builder, b.loc, left, right));
    };
    AffineExpr flat = b.number(0);
    for (auto [i, size] : llvm::enumerate(sizesOf(op.getType())))
      flat = flat * size + b.dim(i);
    Value seed = b.load(op.getSeed(), dims, {});
    Value position = b.index(canonical(flat), dims);
    Value keys[3] = {low(seed), high(seed)};
    keys[2] = exclusive(exclusive(keys[0], keys[1]), constant(0x1BD11BDA, i32));
    Value overflow = arith::MulIOp::create(b.builder, b.loc, high(position), constant(65536, i32));
    Value x = add(low(position), keys[0]);
    Value y = add(add(constant(uint64_t(op.getStream()), i32), overflow), keys[1]);
    static constexpr unsigned rotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
    for (unsigned round = 0; round < 20; ++round) {
      x = add(x, y);
      y = exclusive(rotate(y, rotations[round % 8]), x);
      if (round % 4 == 3) {
        unsigned key = round / 4 + 1;
        x = add(x, keys[key % 3]);
        y = add(add(y, keys[(key + 1) % 3]), constant(key, i32));
      }
    }
    Value bits = arith::ShRUIOp::create(b.builder, b.loc, x, constant(8, i32));
    // 24 bits fit a positive i32 and an f32 exactly; the signed conversion is the one that machines have.
    Value real = arith::SIToFPOp::create(b.builder, b.loc, b.builder.getF32Type(), bits);
    real = arith::MulFOp::create(b.builder, b.loc, real, b.scalar(b.builder.getF32FloatAttr(0x1p-24f)));
    return formula::convert(b.builder, b.loc, real, b.builder.getF32Type(), NestBuilder::elementOf(op.getResult()));
  });
}
