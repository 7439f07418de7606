// Attention forward (Attention.h says how). Of a block of queries the stack holds, with queries as lanes: the queries
// themselves, scaled; the scores of one block of keys, then their weights; the mixed values before division.
#include "backends/cpu/AttentionBlocks.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <cmath>

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;

namespace {
/// Keys of one block: a multiple of the rows of a block of accumulators, enough that rescaling what was mixed so far is
/// rare, and few enough that their scores stay in the first level cache.
constexpr int64_t keysAtOnce = 132;

class ForwardEmitter : AttentionBlocks {
public:
  using AttentionBlocks::AttentionBlocks;

  Launch run(const std::string &name) {
    e.openFunction(name);
    queries = stack(plan.width * plan.lanes);
    weights = stack((keysAtOnce + 1) * plan.lanes); // a row more, for loops over pairs of rows
    mixed = stack(plan.width * plan.lanes);
    loop(e.begin, e.end, 1, [&](Value unit) { block(unit); });
    e.closeFunction();
    return {name, plan.units, plan.cost};
  }

private:
  /// The largest score so far and the sum of weights, for each register of queries.
  struct State {
    Vectors most, sum;
    explicit State(ValueRange values)
        : most(values.take_front(attentionVectors)), sum(values.slice(attentionVectors, attentionVectors)) {}
    Vectors all() const {
      Vectors values = most;
      values.append(sum);
      return values;
    }
  };

  void block(Value unit) {
    length = number(plan.queries), keys = number(plan.keys);
    Value blocks = number(blocksOfQueries());
    Value first = e.mul(arith::RemUIOp::create(b, unit, blocks), e.constant(plan.lanes));
    Value head = arith::DivUIOp::create(b, unit, blocks), heads = number(plan.heads);
    Value n = arith::DivUIOp::create(b, head, heads), h = arith::RemUIOp::create(b, head, heads);
    Value count = least(e.constant(plan.lanes), e.sub(length, first));
    k = place(plan.inputs[1], n, h), v = place(plan.inputs[2], n, h);
    if (plan.op.getMasked())
      mask = maskOf(n);
    if (plan.op.getBiased())
      bias = place(plan.bias(), n, h), from = first, here = count;
    gather(queries, place(plan.inputs[0], n, h), first, count, plan.op.getScale().convertToDouble());
    clear(mixed);

    Vectors start(attentionVectors, real(lowestScore)); // not -inf, which could not be subtracted from -inf
    start.append(attentionVectors, real(0));
    // The position of the last key that lane 0 sees.
    lastSeen = plan.op.getCausal() ? e.add(first, e.sub(keys, length)) : Value();
    if (!plan.op.getCausal()) {
      finish(n, h, first, count, overKeys(e.constant(0), keys, State(start)));
      return;
    }
    Value end = e.add(lastSeen, count);
    end = least(keys, most(end, e.constant(0)));
    if (plan.op.getStrict()) { // what is hidden weighs nothing, whatever else there is
      finish(n, h, first, count, overKeys(e.constant(0), end, State(start)));
      return;
    }
    // Keys that every query of the block sees or some do; then the others, when a query has seen none.
    start.push_back(e.constant(0)), start.push_back(end);
    Vectors done = loop(e.constant(0), e.constant(2), 1, start, [&](Value, ValueRange values) {
      Value from = values[values.size() - 2], to = values.back();
      State state = overKeys(from, to, State(values));
      Value lowest = vector::ReductionOp::create(b, vector::CombiningKind::MINNUMF, state.most[0]);
      for (Value more : ArrayRef(state.most).drop_front())
        lowest = arith::MinNumFOp::create(
            b, lowest, vector::ReductionOp::create(b, vector::CombiningKind::MINNUMF, more).getResult());
      Value none = arith::ConstantOp::create(b, b.getF32FloatAttr(hiddenBelow));
      none = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, lowest, none);
      Vectors next = state.all();
      next.push_back(to);
      next.push_back(arith::SelectOp::create(b, none, keys, to));
      return next;
    });
    finish(n, h, first, count, State(done));
  }
  AffineExpr blocksOfQueries() { return canonical((plan.queries + (plan.lanes - 1)).floorDiv(plan.lanes)); }

  State overKeys(Value from, Value to, State state) {
    return State(loop(from, to, keysAtOnce, state.all(), [&](Value first, ValueRange values) {
      State before(values);
      Value count = least(e.constant(keysAtOnce), e.sub(to, first));
      return keyBlock(first, count, before).all();
    }));
  }

  State keyBlock(Value first, Value count, State before) {
    // Scores.
    Value one = e.constant(1), lanes = e.constant(plan.lanes);
    auto scoresOf = [&](Value row, unsigned rows) {
      Value key = e.add(first, row);
      Vectors scores = multiply(at(k, key), k.step, one, queries, lanes, e.constant(plan.width), rows, zeros(rows),
                                {}, widthTogether());
      writeRows(weights, row, biased(visible(scores, key, rows), row, key, rows));
    };
    if (bias.base && !biasForAll()) { // scores take the places of what is added to them
      gatherBias(first, count);
      overRowsOnce(count, scoresOf);
    } else {
      overRows(count, scoresOf);
    }
    // The largest, the weights and their sum, two rows at a time: they share the constants of exp. A row behind the last
    // weighs nothing.
    writeRows(weights, count, Vectors(attentionVectors, real(-std::numeric_limits<double>::infinity())));
    State after = before;
    after.most = loop(e.constant(0), count, 2, before.most, [&](Value row, ValueRange most) {
      Vectors next(most);
      for (unsigned i = 0; i < 2 * attentionVectors; ++i) {
        Value &largest = next[i % attentionVectors];
        largest = fmax(readVector(at(rowOf(weights, row), i * registerLanes)), largest);
      }
      return next;
    });
    Vectors fade;
    for (unsigned v = 0; v < attentionVectors; ++v) {
      fade.push_back(exp(fsub(before.most[v], after.most[v])));
      after.sum[v] = fmul(before.sum[v], fade[v]);
    }
    after.sum = loop(e.constant(0), count, 2, after.sum, [&](Value row, ValueRange sums) {
      Vectors next(sums), weight;
      for (unsigned i = 0; i < 2 * attentionVectors; ++i) {
        Value score = readVector(at(rowOf(weights, row), i * registerLanes));
        weight.push_back(exp(fsub(score, after.most[i % attentionVectors])));
        Value &sum = next[i % attentionVectors];
        sum = fadd(sum, weight[i]);
      }
      writeRows(weights, row, weight);
      return next;
    });
    // What they mix.
    overWidth([&](Value d, unsigned rows) {
      Vectors sums;
      for (unsigned r = 0; r < rows; ++r)
        for (unsigned v = 0; v < attentionVectors; ++v)
          sums.push_back(fmul(readVector(at(rowOf(mixed, e.add(d, e.constant(r))), v * registerLanes)), fade[v]));
      writeRows(mixed, d, multiply(at(at(v, first), d), one, v.step, weights, lanes, count, rows, sums));
    });
    return after;
  }

  /// Whether what is added is the same for all queries.
  bool biasForAll() { return constantOf(plan.bias().position) == 0; }
  /// Reads what is added to the scores of the keys from `first` on where these will stand, queries as lanes.
  void gatherBias(Value first, Value count) {
    when(isBelow(here, e.constant(plan.lanes)),
         [&] { loop(e.constant(0), e.constant(keysAtOnce), 1, [&](Value row) { writeRows(weights, row, zeros(1)); }); });
    Value step = number(plan.bias().element), corner = at(at(bias, from), e.mul(first, step));
    auto place = [&](Value lane, Value key) {
      return at(corner, e.add(e.mul(lane, bias.step), e.mul(key, step)));
    };
    auto single = [&](Value lane, Value key) {
      e.storeRaw(readNumber(place(lane, key)), at(rowOf(weights, key), lane), 4);
    };
    if (constantOf(plan.bias().element) != 1) {
      loop(e.constant(0), here, 1, [&](Value lane) { loop(e.constant(0), count, 1, [&](Value key) { single(lane, key); }); });
      return;
    }
    bySquares(
        here, count,
        [&](int64_t lane, Value key) {
          Vectors square;
          for (int64_t i = 0; i < registerLanes; ++i)
            square.push_back(readVector(place(e.constant(lane + i), key)));
          for (auto [i, row] : llvm::enumerate(turnSquare(b, square)))
            write(row, at(rowOf(weights, e.add(key, e.constant(i))), lane));
        },
        single);
  }
  /// The scores with what is added to them, which stands in their places or is one number for each key.
  Vectors biased(Vectors scores, Value row, Value key, unsigned rows) {
    if (!bias.base)
      return scores;
    for (unsigned r = 0; r < rows; ++r) {
      Value all;
      if (biasForAll())
        all = e.splat(readNumber(at(bias.base, e.mul(e.add(key, e.constant(r)), number(plan.bias().element)))));
      for (unsigned v = 0; v < attentionVectors; ++v) {
        Value own = all ? all : readVector(at(rowOf(weights, e.add(row, e.constant(r))), v * registerLanes));
        Value &score = scores[r * attentionVectors + v];
        score = fadd(score, own);
      }
    }
    return scores;
  }

  /// The scores of keys from `key` on, one row each, with what is hidden at `hiddenScore`.
  Vectors visible(Vectors scores, Value key, unsigned rows) {
    Value hidden = hiddenScore();
    if (mask.base)
      for (unsigned r = 0; r < rows; ++r) {
        Value place = e.mul(e.add(key, e.constant(r)), mask.step);
        Value bit = e.load(b.getI8Type(), e.elementPointer(mask.base, place, b.getI8Type()), 1);
        Value zero = arith::ConstantOp::create(b, b.getI8IntegerAttr(0));
        Value seen = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, bit, zero);
        for (unsigned v = 0; v < attentionVectors; ++v) {
          Value &score = scores[r * attentionVectors + v];
          score = arith::SelectOp::create(b, seen, score, hidden);
        }
      }
    if (!lastSeen)
      return scores;
    Value some = isBelow(lastSeen, e.add(key, e.constant(rows - 1)));
    return choose(some, scores, [&] {
      Vectors kept = scores;
      for (unsigned r = 0; r < rows; ++r) {
        Value before = e.sub(e.add(key, e.constant(r)), lastSeen); // lanes whose query stands before the key
        for (unsigned v = 0; v < attentionVectors; ++v) {
          Value &score = kept[r * attentionVectors + v];
          score = arith::SelectOp::create(b, e.maskBelow(e.sub(before, e.constant(v * registerLanes))), hidden, score);
        }
      }
      return kept;
    });
  }

  void finish(Value n, Value h, Value first, Value count, State state) {
    Vectors share;
    for (Value sum : state.sum)
      share.push_back(arith::DivFOp::create(b, real(1), sum));
    loop(e.constant(0), e.constant(plan.width), 1, [&](Value d) {
      Vectors values;
      for (unsigned v = 0; v < attentionVectors; ++v)
        values.push_back(fmul(readVector(at(rowOf(mixed, d), v * registerLanes)), share[v]));
      writeRows(mixed, d, values);
    });
    scatter(mixed, place(plan.results[0], n, h), first, count, 1);
    Place statistic = place(plan.results[1], n, h);
    for (unsigned v = 0; v < attentionVectors; ++v) {
      Value lane = e.constant(v * registerLanes);
      Value log = math::LogOp::create(b, state.sum[v]);
      write(fadd(state.most[v], log), at(statistic, e.add(first, lane)), e.maskBelow(e.sub(count, lane)));
    }
  }

  Value queries, weights, mixed; // on the stack
  Value length, keys, lastSeen;
  Value from, here; // the first query of the block, and how many
  Place k, v, mask, bias;
};
} // namespace

Launch cpu::emitAttention(Emitter &emitter, const AttentionPlan &plan, const std::string &name) {
  return ForwardEmitter(emitter, plan).run(name);
}
