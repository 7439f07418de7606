// Attention of few queries over many kept rows (Attention.h). It reads each key and value once and does little with them,
// so it goes through memory in order, and the elements of a head are the lanes. For a block of keys at a time it computes
// scores, their weights under the largest so far, and adds what they mix (online softmax, as in EmitAttention.cpp).
//
// One query of each sequence, what writing token by token asks for: a unit is a block of keys, for all heads, whose rows lie side
// by side; a second launch puts the blocks together (Flash-Decoding: Dao, Haziza, Massa and Sizov, 2023). However few heads there
// are, all threads have their part of the keys, and blocks do not depend on how many threads there are. More queries: a unit is one
// of them and the heads that share one head of keys, so that nothing but the result has a place in memory.
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
constexpr int64_t keysAtOnce = AttentionPlan::keptAtOnce;
/// Keys whose products are summed side by side.
constexpr int64_t keysAbreast = 4;
constexpr double belowAll = -1e38;

class CachedEmitter : AttentionBlocks {
public:
  using AttentionBlocks::AttentionBlocks;

  SmallVector<Launch> run(const std::string &name) {
    share = *constantOf(plan.heads) / *constantOf(plan.groups);
    padded = llvm::alignTo(plan.width, registerLanes);
    // Factors of units and cost: 1 where the launch is for this number of queries, and 0 where it is not.
    AffineExpr isOne = getAffineConstantExpr(2, plan.op.getContext()).floorDiv(plan.queries + 1);
    AffineExpr one = plan.queries * isOne, more = 1 - isOne, parts = plan.keptBlocks();
    auto ofHeads = [&](int64_t heads) {
      allQueries = stack(heads * padded), allWeights = stack(heads * weightsOfHead()), fades = stack(share);
    };
    Launch blocks = function(
        name + "_blocks", plan.batch * parts * one, plan.cost * one, [&] { ofHeads(*constantOf(plan.heads)); },
        [&](Value unit) { block(unit); });
    Launch join = function(
        name + "_join", plan.batch * plan.groups * one, plan.batch * plan.heads * parts * plan.width * one, [] {},
        [&](Value unit) { joinBlocks(unit); });
    Launch queries = function(
        name, plan.units * more, plan.cost * more,
        [&] {
          ofHeads(share);
          openPart(stack(share * plan.partOfHead()));
        },
        [&](Value unit) { query(unit); });
    return {blocks, join, queries};
  }

private:
  /// `onStack` takes the memory that all units of a range share.
  Launch function(const std::string &name, AffineExpr units, AffineExpr cost, llvm::function_ref<void()> onStack,
                  llvm::function_ref<void(Value)> body) {
    e.openFunction(name);
    onStack();
    loop(e.begin, e.end, 1, body);
    e.closeFunction();
    return {name, canonical(units), canonical(cost)};
  }

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
  int64_t weightsOfHead() const { return keysAtOnce + registerLanes; }
  Value weightsOf(Value r) { return at(weights, e.mul(r, e.constant(weightsOfHead()))); }
  /// Rows of `width` sums each that fit into registers beside what they are made of: a register for each of the width, and one.
  int64_t rowsOf(int64_t width) const { return std::max<int64_t>(1, (int64_t(e.target.registers) - 1 - width) / width); }

  /// Calls body for up to `most` heads at a time.
  template <class Body> void overHeads(int64_t most, Body body) {
    int64_t whole = share / most * most;
    loop(e.constant(0), e.constant(whole), most, [&](Value r) { body(r, most); });
    if (share > whole)
      body(e.constant(whole), share - whole);
  }

  /// The queries of the heads that share `g`, scaled, and nothing mixed yet.
  void begin(Value n, Value g, Value i) {
    Value first = e.mul(g, e.constant(share));
    loop(e.constant(0), e.constant(share), 1, [&](Value r) {
      Value from = at(place(plan.inputs[0], n, e.add(first, r)), i);
      overRegisters([&](int64_t d, Value mask) {
        write(scaled(readVector(at(from, d), mask), 1 / std::sqrt(double(plan.width))), at(row(queries, r), d));
        write(real(0), at(row(mixed, r), d));
      });
      write(arith::ConstantOp::create(b, b.getF32FloatAttr(belowAll)), at(largest, r));
      write(arith::ConstantOp::create(b, b.getF32FloatAttr(0)), at(sums, r));
    });
  }

  /// The queries and weights of the heads that share `g`.
  void openGroup(Value g) {
    queries = at(allQueries, e.mul(g, e.constant(share * padded)));
    weights = at(allWeights, e.mul(g, e.constant(share * weightsOfHead())));
  }

  void query(Value unit) {
    Value length = number(plan.queries), groups = number(plan.groups);
    Value i = arith::RemUIOp::create(b, unit, length), head = arith::DivUIOp::create(b, unit, length);
    Value g = arith::RemUIOp::create(b, head, groups), n = arith::DivUIOp::create(b, head, groups);
    openGroup(e.constant(0));
    begin(n, g, i);
    Value slot = integer(5, n), past = integer(6, n);
    overKeys(place(plan.inputs[3], slot, g), place(plan.inputs[4], slot, g), e.constant(0), past);
    overKeys(place(plan.inputs[1], n, g), place(plan.inputs[2], n, g), e.constant(0), e.add(i, e.constant(1)));
    Value first = e.mul(g, e.constant(share));
    loop(e.constant(0), e.constant(share), 1, [&](Value r) {
      Value to = at(place(plan.results[0], n, e.add(first, r)), i);
      Value one = arith::ConstantOp::create(b, b.getF32FloatAttr(1));
      Value share = e.splat(arith::DivFOp::create(b, one, readNumber(at(sums, r))));
      overRegisters([&](int64_t d, Value mask) { write(fmul(readVector(at(row(mixed, r), d)), share), at(to, d), mask); });
    });
  }

  // ---------------------------------------------------------------- one query of each sequence
  /// What one block of keys gives the heads that share `g`, in scratch memory: rows of what they mix, the largest scores, the sums.
  Value partOf(Value n, Value number, Value g) {
    Value block = e.add(e.mul(n, this->number(plan.keptBlocks())), number);
    Value place = e.add(e.mul(block, this->number(plan.groups)), g);
    return at(e.pointer({Slot::Scratch, {}, 0, {}}), e.mul(place, e.constant(share * plan.partOfHead())));
  }
  void openPart(Value part) {
    mixed = part, largest = at(part, share * padded), sums = at(part, share * padded + share);
  }

  /// Blocks of `past` keys; one, for the new key, where there are none.
  Value blocksOf(Value past) {
    Value whole = arith::DivUIOp::create(b, e.add(past, e.constant(keysAtOnce - 1)), e.constant(keysAtOnce));
    return most(whole, e.constant(1));
  }

  /// One block of the kept keys, or none: there are as many units as a full cache has blocks, and those that are there lie apart
  /// among them, so that all threads find some. The first block takes the new key besides.
  void block(Value unit) {
    Value units = this->number(plan.keptBlocks()), zero = e.constant(0), one = e.constant(1);
    Value part = arith::RemUIOp::create(b, unit, units), n = arith::DivUIOp::create(b, unit, units);
    Value slot = integer(5, n), past = integer(6, n), blocks = blocksOf(past);
    auto before = [&](Value part) { // blocks of earlier units
      return arith::DivUIOp::create(b, e.add(e.mul(part, blocks), e.sub(units, one)), units).getResult();
    };
    Value number = before(part);
    when(isBelow(number, before(e.add(part, one))), [&] {
      Value first = e.mul(number, e.constant(keysAtOnce)), end = least(past, e.add(first, e.constant(keysAtOnce)));
      Value isFirst = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, number, zero);
      auto overGroups = [&](llvm::function_ref<void(Value)> body) { loop(zero, this->number(plan.groups), 1, body); };
      overGroups([&](Value g) {
        openPart(partOf(n, number, g)), openGroup(g);
        begin(n, g, zero);
        when(isFirst, [&] { overKeys(place(plan.inputs[1], n, g), place(plan.inputs[2], n, g), zero, one); });
      });
      // Key by key for all heads, as they lie in memory; their values, which come next, are asked for.
      Value keys = e.sub(end, first);
      overSome(keys, [&](Value from, int64_t abreast) {
        overGroups([&](Value g) {
          openGroup(g);
          Place v = place(plan.inputs[4], slot, g);
          for (int64_t x = 0; x < abreast; ++x)
            ask(at(v, e.add(e.add(first, from), e.constant(x))));
          score(place(plan.inputs[3], slot, g), first, from, abreast);
        });
      });
      overGroups([&](Value g) {
        openPart(partOf(n, number, g)), openGroup(g);
        Place next = place(plan.inputs[3], slot, g); // the keys of the block behind this one, which mostly comes next
        mixAll(place(plan.inputs[4], slot, g), first, keys, [&](Value key) { ask(at(next, e.add(end, key))); });
      });
    });
  }

  void joinBlocks(Value unit) {
    Value groups = number(plan.groups), zero = e.constant(0);
    Value g = arith::RemUIOp::create(b, unit, groups), n = arith::DivUIOp::create(b, unit, groups);
    Value blocks = blocksOf(integer(6, n));
    Value first = e.mul(g, e.constant(share)), own = partOf(n, zero, g);
    Value next = e.mul(groups, e.constant(share * plan.partOfHead())); // from a block to the next
    loop(zero, e.constant(share), 1, [&](Value r) {
      auto read = [&](Value number, int64_t from) { return readNumber(at(at(own, e.mul(number, next)), e.add(r, e.constant(from)))); };
      Value none = arith::ConstantOp::create(b, b.getF32FloatAttr(belowAll));
      Value all = loop(zero, blocks, 1, {none}, [&](Value number, ValueRange most) {
        return Vectors{fmax(most[0], read(number, share * padded))};
      })[0];
      Value to = at(place(plan.results[0], n, e.add(first, r)), zero), largest = e.splat(all);
      int64_t registers = padded / registerLanes;
      for (int64_t from = 0; from < registers; from += rowsOf(1) - 1) {
        int64_t count = std::min(rowsOf(1) - 1, registers - from);
        Vectors mixed = loop(zero, blocks, 1, Vectors(count + 1, real(0)), [&](Value number, ValueRange before) {
          Value weight = exp(fsub(e.splat(read(number, share * padded)), largest));
          Value row = at(at(own, e.mul(number, next)), e.mul(r, e.constant(padded)));
          Vectors sums{fadd(before[0], fmul(weight, e.splat(read(number, share * padded + share))))};
          for (int64_t i = 0; i < count; ++i) {
            Value values = readVector(at(row, (from + i) * registerLanes));
            sums.push_back(LLVM::FMulAddOp::create(b, weight.getType(), weight, values, before[i + 1]));
          }
          return sums;
        });
        Value share = arith::DivFOp::create(b, real(1), mixed[0]);
        for (int64_t i = 0; i < count; ++i) {
          int64_t d = (from + i) * registerLanes;
          Value mask = d + registerLanes > plan.width ? e.maskBelow(e.constant(plan.width - d)) : Value();
          write(fmul(mixed[i + 1], share), at(to, d), mask);
        }
      }
    });
  }

  // ---------------------------------------------------------------- keys
  void overKeys(Place k, Place v, Value from, Value to) {
    loop(from, to, keysAtOnce, [&](Value first) {
      Value keys = least(e.constant(keysAtOnce), e.sub(to, first));
      overSome(keys, [&](Value from, int64_t abreast) { score(k, first, from, abreast); });
      mixAll(v, first, keys);
    });
  }

  /// `keysAbreast` keys at a time, and one by one what is left.
  void overSome(Value keys, llvm::function_ref<void(Value, int64_t)> body) {
    Value whole = e.sub(keys, arith::RemUIOp::create(b, keys, e.constant(keysAbreast)));
    loop(e.constant(0), whole, keysAbreast, [&](Value from) { body(from, keysAbreast); });
    loop(whole, keys, 1, [&](Value from) { body(from, 1); });
  }

  /// Asks for a row of a head.
  void ask(Value place) {
    constexpr int64_t lineBytes = 64;
    for (int64_t byte = 0; byte < plan.width * 4; byte += lineBytes)
      LLVM::Prefetch::create(b, e.elementPointer(place, e.constant(byte), b.getI8Type()), /*rw=*/0, /*hint=*/2, /*cache=*/1);
  }

  /// The scores of all heads of the group for some keys of the block that begins at `first`.
  void score(Place k, Value first, Value from, int64_t abreast) {
    Vectors keys;
    for (int64_t x = 0; x < abreast; ++x)
      keys.push_back(at(k, e.add(e.add(first, from), e.constant(x))));
    overHeads(rowsOf(abreast), [&](Value r, int64_t heads) {
      Vectors sums(heads * abreast, real(0));
      overRegisters([&](int64_t d, Value mask) {
        Vectors read;
        for (Value key : keys)
          read.push_back(readVector(at(key, d), mask));
        for (int64_t h = 0; h < heads; ++h) {
          Value query = readVector(at(row(queries, e.add(r, e.constant(h))), d));
          for (int64_t x = 0; x < abreast; ++x) {
            Value &sum = sums[h * abreast + x];
            sum = LLVM::FMulAddOp::create(b, query.getType(), read[x], query, sum);
          }
        }
      });
      for (int64_t h = 0; h < heads; ++h) {
        ArrayRef<Value> ofHead = ArrayRef(sums).slice(h * abreast, abreast);
        Value to = at(weightsOf(e.add(r, e.constant(h))), from);
        write(abreast == 1 ? across(vector::CombiningKind::ADD, ofHead.front()) : sumsOfFour(ofHead), to);
      }
    });
  }

  /// Weighs the keys by their scores and adds their values to what the group's heads have mixed.
  /// `aside` does something else once for each key.
  void mixAll(Place v, Value first, Value keys, llvm::function_ref<void(Value)> aside = {}) {
    loop(e.constant(0), e.constant(share), 1, [&](Value r) { weigh(r, keys); });
    // Some registers of a head at a time, of several heads, which share what is read.
    int64_t registers = padded / registerLanes, heads = std::min<int64_t>(share, 3), most = rowsOf(heads);
    int64_t parts = llvm::divideCeil(registers, most), abreast = llvm::divideCeil(registers, parts);
    for (int64_t from = 0; from < registers; from += abreast)
      overHeads(heads, [&](Value r, int64_t heads) {
        bool once = from == 0 && heads == std::min<int64_t>(share, 3);
        mix(at(v, first), v.step, r, heads, keys, from, std::min(abreast, registers - from), once ? aside : nullptr);
      });
  }

  /// The sums of the lanes of four registers, side by side. Neighbours are added within each four lanes, which needs no lane from
  /// the other half of a register; the fours are added at the end.
  Value sumsOfFour(ArrayRef<Value> x) {
    auto pairs = [&](Value left, Value right) {
      SmallVector<int64_t> even, odd;
      for (int64_t four = 0; four < registerLanes; four += 4)
        for (int64_t side : {int64_t(0), registerLanes})
          for (int64_t i : {0, 2})
            even.push_back(side + four + i), odd.push_back(side + four + i + 1);
      return fadd(vector::ShuffleOp::create(b, left, right, even), vector::ShuffleOp::create(b, left, right, odd));
    };
    Value fours = pairs(pairs(x[0], x[1]), pairs(x[2], x[3]));
    for (int64_t lanes = registerLanes / 2; lanes >= 4; lanes /= 2) {
      auto half = [&](int64_t first) {
        return vector::ExtractStridedSliceOp::create(b, fours, ArrayRef<int64_t>{first}, ArrayRef<int64_t>{lanes},
                                                     ArrayRef<int64_t>{1});
      };
      fours = fadd(half(0), half(lanes));
    }
    return fours;
  }

  /// Turns scores into weights, and says by how much what was mixed so far shrinks.
  void weigh(Value r, Value keys) {
    Value weights = weightsOf(r);
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
    Value shrink = vector::ExtractOp::create(b, fade, ArrayRef<int64_t>{0});
    write(shrink, at(fades, r));
    write(fadd(fmul(readNumber(at(sums, r)), shrink), across(vector::CombiningKind::ADD, sum[0])), at(sums, r));
  }

  /// Adds to what the heads from `r` on have mixed, in the `count` registers from `first` on.
  void mix(Value value, Value step, Value r, int64_t heads, Value keys, int64_t first, int64_t count,
           llvm::function_ref<void(Value)> aside) {
    auto offset = [&](int64_t i) { return (first + i) * registerLanes; };
    auto number = [&](int64_t h) { return e.add(r, e.constant(h)); };
    Vectors start;
    for (int64_t h = 0; h < heads; ++h) {
      Value fade = e.splat(readNumber(at(fades, number(h))));
      for (int64_t i = 0; i < count; ++i)
        start.push_back(fmul(readVector(at(row(mixed, number(h)), offset(i))), fade));
    }
    Vectors done = loop(e.constant(0), keys, 1, start, [&](Value j, ValueRange values) {
      if (aside)
        aside(j);
      Value from = at(value, e.mul(j, step));
      Vectors read, next;
      for (int64_t i = 0; i < count; ++i) {
        bool last = offset(i) + registerLanes > plan.width;
        Value mask = last ? e.maskBelow(e.constant(plan.width - offset(i))) : Value();
        read.push_back(readVector(at(from, offset(i)), mask));
      }
      for (int64_t h = 0; h < heads; ++h) {
        Value weight = e.splat(readNumber(at(weightsOf(number(h)), j)));
        for (int64_t i = 0; i < count; ++i)
          next.push_back(LLVM::FMulAddOp::create(b, weight.getType(), weight, read[i], values[h * count + i]));
      }
      return next;
    });
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t i = 0; i < count; ++i)
        write(done[h * count + i], at(row(mixed, number(h)), offset(i)));
  }

  int64_t share = 1, padded = 0; // heads of queries for one of keys; elements of a head on the stack
  Value allQueries, allWeights, fades;          // on the stack
  Value queries, weights, mixed, largest, sums; // of the heads that share one head of keys
};
} // namespace

SmallVector<Launch> cpu::emitCachedAttention(Emitter &emitter, const AttentionPlan &plan, const std::string &name) {
  return CachedEmitter(emitter, plan).run(name);
}
