// Attention of few queries over many kept rows (Attention.h). It reads each key and value once and does little with them,
// so it goes through memory in order: a unit is one query and the heads that share one head of keys, and the elements of
// a head are the lanes. For a block of keys at a time it computes scores, their weights under the largest so far, and
// adds what they mix (online softmax, as in EmitAttention.cpp).
#include "backends/cpu/AttentionBlocks.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <cmath>

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;

namespace {
/// Keys of one block: with their values they stay in the first level cache for the heads that share them.
constexpr int64_t keysAtOnce = 64;
/// Keys whose products are summed side by side.
constexpr int64_t keysAbreast = 4;
constexpr double belowAll = -1e38;

class CachedEmitter : AttentionBlocks {
public:
  using AttentionBlocks::AttentionBlocks;

  Launch run(const std::string &name) {
    share = *constantOf(plan.heads) / *constantOf(plan.groups);
    padded = llvm::alignTo(plan.width, registerLanes);
    e.openFunction(name);
    queries = stack(share * padded), mixed = stack(share * padded);
    largest = stack(share), sums = stack(share);
    weights = stack(keysAtOnce + registerLanes);
    loop(e.begin, e.end, 1, [&](Value unit) { query(unit); });
    e.closeFunction();
    return {name, plan.units, plan.cost};
  }

private:
  /// Calls body for each register of a head; `mask` is for the last where the width is no multiple.
  template <class Body> void overRegisters(Body body) {
    for (int64_t d = 0; d < plan.width; d += registerLanes)
      body(d, d + registerLanes > plan.width ? e.maskBelow(e.constant(plan.width - d)) : Value());
  }
  Value integer(unsigned input, Value n) {
    const AttentionTensor &tensor = plan.inputs[input];
    Value place = e.add(number(tensor.first), e.mul(n, number(tensor.batch)));
    Value loaded = e.load(b.getI32Type(), e.elementPointer(e.pointer(tensor.slot), place, b.getI32Type()), 4);
    return arith::ExtSIOp::create(b, b.getI64Type(), loaded);
  }
  Value across(vector::CombiningKind kind, Value x) {
    return vector::ReductionOp::create(b, kind, x, arith::FastMathFlags::reassoc);
  }
  Value row(Value matrix, Value r) { return at(matrix, e.mul(r, e.constant(padded))); }

  void query(Value unit) {
    Value length = number(plan.queries), groups = number(plan.groups);
    Value i = arith::RemUIOp::create(b, unit, length), head = arith::DivUIOp::create(b, unit, length);
    Value g = arith::RemUIOp::create(b, head, groups), n = arith::DivUIOp::create(b, head, groups);
    Value first = e.mul(g, e.constant(share)), heads = e.constant(share);
    loop(e.constant(0), heads, 1, [&](Value r) {
      Value from = at(place(plan.inputs[0], n, e.add(first, r)), i);
      overRegisters([&](int64_t d, Value mask) {
        write(scaled(readVector(at(from, d), mask), 1 / std::sqrt(double(plan.width))), at(row(queries, r), d));
        write(real(0), at(row(mixed, r), d));
      });
      write(arith::ConstantOp::create(b, b.getF32FloatAttr(belowAll)), at(largest, r));
      write(arith::ConstantOp::create(b, b.getF32FloatAttr(0)), at(sums, r));
    });
    Value slot = integer(5, n), past = integer(6, n);
    overKeys(place(plan.inputs[3], slot, g), place(plan.inputs[4], slot, g), past);
    overKeys(place(plan.inputs[1], n, g), place(plan.inputs[2], n, g), e.add(i, e.constant(1)));
    loop(e.constant(0), heads, 1, [&](Value r) {
      Value to = at(place(plan.results[0], n, e.add(first, r)), i);
      Value one = arith::ConstantOp::create(b, b.getF32FloatAttr(1));
      Value share = e.splat(arith::DivFOp::create(b, one, readNumber(at(sums, r))));
      overRegisters([&](int64_t d, Value mask) { write(fmul(readVector(at(row(mixed, r), d)), share), at(to, d), mask); });
    });
  }

  void overKeys(Place k, Place v, Value count) {
    loop(e.constant(0), count, keysAtOnce, [&](Value first) {
      Value keys = least(e.constant(keysAtOnce), e.sub(count, first));
      loop(e.constant(0), e.constant(share), 1, [&](Value r) {
        score(at(k, first), k.step, r, keys);
        weigh(r, keys, [&](Value fade) { mix(at(v, first), v.step, r, keys, fade); });
      });
    });
  }

  void score(Value key, Value step, Value r, Value keys) {
    auto some = [&](Value from, int64_t abreast) {
      Vectors sums(abreast, real(0));
      overRegisters([&](int64_t d, Value mask) {
        Value query = readVector(at(row(queries, r), d));
        for (int64_t x = 0; x < abreast; ++x) {
          Value place = at(at(key, e.mul(e.add(from, e.constant(x)), step)), d);
          sums[x] = LLVM::FMulAddOp::create(b, query.getType(), readVector(place, mask), query, sums[x]);
        }
      });
      for (int64_t x = 0; x < abreast; ++x)
        write(across(vector::CombiningKind::ADD, sums[x]), at(weights, e.add(from, e.constant(x))));
    };
    Value whole = e.sub(keys, arith::RemUIOp::create(b, keys, e.constant(keysAbreast)));
    loop(e.constant(0), whole, keysAbreast, [&](Value from) { some(from, keysAbreast); });
    loop(whole, keys, 1, [&](Value from) { some(from, 1); });
  }

  /// Turns scores into weights; `mix` gets by how much what was mixed so far shrinks.
  void weigh(Value r, Value keys, llvm::function_ref<void(Value)> mix) {
    write(real(belowAll), at(weights, keys)); // lanes behind the last key weigh nothing
    Value before = readNumber(at(largest, r));
    Vectors most = loop(e.constant(0), keys, registerLanes, {real(belowAll)}, [&](Value j, ValueRange most) {
      return Vectors{fmax(readVector(at(weights, j)), most[0])};
    });
    Value now = fmax(across(vector::CombiningKind::MAXNUMF, most[0]), before);
    write(now, at(largest, r));
    Value all = e.splat(now);
    Value fade = exp(fsub(e.splat(before), all));
    Vectors sum = loop(e.constant(0), keys, registerLanes, {real(0)}, [&](Value j, ValueRange sum) {
      Value weight = exp(fsub(readVector(at(weights, j)), all));
      write(weight, at(weights, j));
      return Vectors{fadd(sum[0], weight)};
    });
    Value faded = fmul(readNumber(at(sums, r)), vector::ExtractOp::create(b, fade, ArrayRef<int64_t>{0}));
    write(fadd(faded, across(vector::CombiningKind::ADD, sum[0])), at(sums, r));
    mix(fade);
  }

  void mix(Value value, Value step, Value r, Value keys, Value fade) {
    // As many registers at a time as there are, less those for what they share.
    int64_t abreast = e.target.registers >= 32 ? 16 : 8;
    int64_t registers = padded / registerLanes;
    for (int64_t first = 0; first < registers; first += abreast) {
      int64_t count = std::min(abreast, registers - first);
      auto offset = [&](int64_t i) { return (first + i) * registerLanes; };
      Vectors start;
      for (int64_t i = 0; i < count; ++i)
        start.push_back(fmul(readVector(at(row(mixed, r), offset(i))), fade));
      Vectors done = loop(e.constant(0), keys, 1, start, [&](Value j, ValueRange values) {
        Value weight = e.splat(readNumber(at(weights, j))), from = at(value, e.mul(j, step));
        Vectors next;
        for (int64_t i = 0; i < count; ++i) {
          bool last = offset(i) + registerLanes > plan.width;
          Value mask = last ? e.maskBelow(e.constant(plan.width - offset(i))) : Value();
          next.push_back(LLVM::FMulAddOp::create(b, weight.getType(), weight, readVector(at(from, offset(i)), mask), values[i]));
        }
        return next;
      });
      for (int64_t i = 0; i < count; ++i)
        write(done[i], at(row(mixed, r), offset(i)));
    }
  }

  int64_t share = 1, padded = 0; // heads of queries for one of keys; elements of a head on the stack
  Value queries, mixed, largest, sums, weights;
};
} // namespace

Launch cpu::emitCachedAttention(Emitter &emitter, const AttentionPlan &plan, const std::string &name) {
  return CachedEmitter(emitter, plan).run(name);
}
