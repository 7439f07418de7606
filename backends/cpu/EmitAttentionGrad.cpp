// Attention backward (Attention.h says how). Of a block of keys the stack holds, with keys as lanes: keys, scaled, and
// values; their gradients; for a block of queries the weights p and the gradients ds of the scores.
#include "backends/cpu/AttentionBlocks.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;

namespace {
/// Queries of one block: a multiple of the rows of a block of accumulators. Their p and ds, and what these are made of,
/// share the first level cache.
constexpr int64_t queriesAtOnce = 48;

class BackwardEmitter : AttentionBlocks {
public:
  BackwardEmitter(Emitter &e, const AttentionPlan &plan)
      : AttentionBlocks(e, plan), scale(plan.op.getScale().convertToDouble()) {}

  Launch run(const std::string &name) {
    e.openFunction(name);
    int64_t size = plan.width * plan.lanes;
    keyBlock = stack(size), valueBlock = stack(size), dKeyBlock = stack(size), dValueBlock = stack(size);
    weights = stack(queriesAtOnce * plan.lanes), dScores = stack(queriesAtOnce * plan.lanes);
    loop(e.begin, e.end, 1, [&](Value unit) { heads(unit); });
    e.closeFunction();
    return {name, plan.units, plan.cost};
  }

private:
  /// One head, or with the gradient of a bias all that share it.
  void heads(Value unit) {
    length = number(plan.queries), keys = number(plan.keys);
    Value zero = e.constant(0), one = e.constant(1);
    Value heads = plan.sharedHeads ? one : number(plan.heads);
    Value n = arith::DivUIOp::create(b, unit, heads), h = arith::RemUIOp::create(b, unit, heads);
    if (!plan.biasGradient()) {
      head(n, h);
      return;
    }
    if (plan.sharedBatch)
      n = zero, h = unit;
    if (plan.sharedHeads)
      h = zero;
    Place start = place(plan.results[3], n, h);
    loop(zero, constantOf(plan.results[3].position) == 0 ? one : length, 1, [&](Value i) {
      loop(zero, keys, registerLanes, [&](Value j) { write(real(0), at(at(start, i), j), e.maskBelow(e.sub(keys, j))); });
    });
    loop(n, e.add(n, plan.sharedBatch ? number(plan.batch) : one), 1, [&](Value n) {
      loop(h, e.add(h, plan.sharedHeads ? number(plan.heads) : one), 1, [&](Value h) { head(n, h); });
    });
  }
  void head(Value n, Value h) {
    q = place(plan.inputs[0], n, h), k = place(plan.inputs[1], n, h), v = place(plan.inputs[2], n, h);
    dy = place(plan.inputs[3], n, h), statistic = place(plan.inputs[4], n, h), delta = place(plan.inputs[5], n, h);
    dq = place(plan.results[0], n, h), dk = place(plan.results[1], n, h), dv = place(plan.results[2], n, h);
    if (plan.op.getMasked())
      mask = maskOf(n);
    if (plan.op.getBiased())
      bias = place(plan.bias(), n, h);
    if (plan.biasGradient())
      dBias = place(plan.results[3], n, h);
    Value keysAsReal = arith::SIToFPOp::create(b, b.getF32Type(), keys), one = arith::ConstantOp::create(b, b.getF32FloatAttr(1));
    even = e.splat(arith::DivFOp::create(b, one, keysAsReal));

    // The gradients of queries start at zero; a query that sees nothing is looked for on the way.
    int64_t whole = plan.width / registerLanes * registerLanes;
    Value no = arith::ConstantOp::create(b, b.getBoolAttr(false));
    Value blind = loop(e.constant(0), length, 1, no, [&](Value i, ValueRange any) -> Vectors {
      Value row = at(dq, i);
      for (int64_t d = 0; d < plan.width; d += registerLanes)
        write(real(0), at(row, d), d < whole ? Value() : edge());
      return {arith::OrIOp::create(b, any[0], seesNothing(i))};
    })[0];

    loop(e.constant(0), keys, plan.lanes, [&](Value first) {
      Value count = least(e.constant(plan.lanes), e.sub(keys, first));
      gather(keyBlock, k, first, count, scale);
      gather(valueBlock, v, first, count, 1);
      clear(dKeyBlock);
      clear(dValueBlock);
      keepMasks(first, count);
      Value from = e.constant(0);
      if (plan.op.getCausal()) {
        // Queries before see none of these keys; one that sees nothing at all weighs them all the same.
        Value before = least(most(e.sub(first, e.sub(keys, length)), from), length);
        from = arith::SelectOp::create(b, blind, from, before);
      }
      loop(from, length, queriesAtOnce, [&](Value query) {
        queryBlock(first, count, query, least(e.constant(queriesAtOnce), e.sub(length, query)));
      });
      scatter(dKeyBlock, dk, first, count, scale);
      scatter(dValueBlock, dv, first, count, 1);
    });
  }

  /// The lanes of the last register of an element vector of a head.
  Value edge() { return e.maskBelow(e.constant(plan.width % registerLanes)); }
  Value seesNothing(Value query) {
    Value bound = arith::ConstantOp::create(b, b.getF32FloatAttr(lowStatistic));
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, readNumber(at(statistic, query)), bound);
  }
  /// Which lanes are keys that the mask shows.
  void keepMasks(Value first, Value count) {
    shown.clear();
    if (!mask.base)
      return;
    for (unsigned r = 0; r < attentionVectors; ++r) {
      Value lane = e.constant(r * registerLanes), inside = e.maskBelow(e.sub(count, lane));
      Type bytes = e.vectorOf(b.getI8Type());
      Value zero = arith::ConstantOp::create(b, b.getZeroAttr(bytes)), bits;
      if (constantOf(plan.mask().position) == 1) {
        Value place = e.elementPointer(mask.base, e.add(first, lane), b.getI8Type());
        bits = LLVM::MaskedLoadOp::create(b, bytes, place, inside, zero, 1);
      } else {
        bits = zero; // spread over memory: one by one
        for (int64_t i = 0; i < registerLanes; ++i) {
          Value at = least(e.add(e.add(first, lane), e.constant(i)), e.sub(keys, e.constant(1)));
          Value place = e.elementPointer(mask.base, e.mul(at, mask.step), b.getI8Type());
          bits = LLVM::InsertElementOp::create(b, bits, e.load(b.getI8Type(), place, 1), e.constant(i));
        }
      }
      Value set = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, bits, zero);
      shown.push_back(arith::AndIOp::create(b, set, inside));
    }
  }

  void queryBlock(Value first, Value count, Value query, Value queries) {
    Value one = e.constant(1), lanes = e.constant(plan.lanes), width = e.constant(plan.width);
    overRows(queries, [&](Value row, unsigned rows) {
      Value from = e.add(query, row);
      Vectors scores = multiply(at(q, from), q.step, one, keyBlock, lanes, width, rows, zeros(rows), {},
                                widthTogether());
      writeRows(weights, row, biased(visible(scores, first, from, rows), first, count, from, rows));
    });
    loop(e.constant(0), queries, 1, [&](Value row) {
      // Every key of a query that sees nothing has weight 1 / S.
      Value from = e.add(query, row), nothing = e.splat(seesNothing(from));
      Value own = e.splat(readNumber(at(statistic, from)));
      Vectors weight;
      for (unsigned r = 0; r < attentionVectors; ++r) {
        Value score = readVector(at(rowOf(weights, row), r * registerLanes));
        weight.push_back(arith::SelectOp::create(b, nothing, even, exp(fsub(score, own))));
      }
      writeRows(weights, row, weight);
    });
    overRows(queries, [&](Value row, unsigned rows) {
      Value from = e.add(query, row);
      Vectors sums = multiply(at(dy, from), dy.step, one, valueBlock, lanes, width, rows, zeros(rows), {},
                              widthTogether());
      for (unsigned r = 0; r < rows; ++r) {
        Value i = e.add(from, e.constant(r)), zero = real(0);
        Value own = e.splat(readNumber(at(delta, i))), nothing = e.splat(seesNothing(i));
        for (unsigned x = 0; x < attentionVectors; ++x) {
          Value weight = readVector(at(rowOf(weights, e.add(row, e.constant(r))), x * registerLanes));
          Value &sum = sums[r * attentionVectors + x];
          sum = arith::SelectOp::create(b, nothing, zero, fmul(weight, fsub(sum, own)));
        }
      }
      writeRows(dScores, row, sums);
    });
    if (dBias.base)
      addToBias(first, count, query, queries);
    add(dValueBlock, dy, query, weights, queries);
    add(dKeyBlock, q, query, dScores, queries);
    addToQueries(first, count, query, queries);
  }

  /// What is added to the scores of queries from `query` on.
  Vectors biased(Vectors scores, Value first, Value count, Value query, unsigned rows) {
    if (!bias.base)
      return scores;
    for (unsigned r = 0; r < rows; ++r)
      for (unsigned x = 0; x < attentionVectors; ++x) {
        Value lane = e.constant(x * registerLanes), own, row = at(bias, e.add(query, e.constant(r)));
        if (constantOf(plan.bias().element) == 1) {
          own = readVector(at(row, e.add(first, lane)), e.maskBelow(e.sub(count, lane)));
        } else { // spread over memory: one by one
          own = real(0);
          for (int64_t i = 0; i < registerLanes; ++i) {
            Value key = least(e.add(e.add(first, lane), e.constant(i)), e.sub(keys, e.constant(1)));
            Value read = readNumber(at(row, e.mul(key, number(plan.bias().element))));
            own = LLVM::InsertElementOp::create(b, own, read, e.constant(i));
          }
        }
        Value &score = scores[r * attentionVectors + x];
        score = fadd(score, own);
      }
    return scores;
  }
  /// dbias[query + i][first + j] += ds[i][j].
  void addToBias(Value first, Value count, Value query, Value queries) {
    loop(e.constant(0), queries, 1, [&](Value row) {
      for (unsigned x = 0; x < attentionVectors; ++x) {
        Value lane = e.constant(x * registerLanes), inside = e.maskBelow(e.sub(count, lane));
        Value to = at(at(dBias, e.add(query, row)), e.add(first, lane));
        write(fadd(readVector(to, inside), readVector(at(rowOf(dScores, row), x * registerLanes))), to, inside);
      }
    });
  }

  /// block[d][lane] += sum over rows i of from[query + i][d] * matrix[i][lane].
  void add(Value block, Place from, Value query, Value matrix, Value queries) {
    overWidth([&](Value d, unsigned rows) {
      Vectors sums;
      for (unsigned r = 0; r < rows; ++r)
        for (unsigned x = 0; x < attentionVectors; ++x)
          sums.push_back(readVector(at(rowOf(block, e.add(d, e.constant(r))), x * registerLanes)));
      Value a = at(at(from, query), d);
      writeRows(block, d, multiply(a, e.constant(1), from.step, matrix, e.constant(plan.lanes), queries, rows, sums));
    });
  }

  /// dq[query + i] += scale * sum over lanes j of ds[i][j] * k[first + j]; here the elements of a head are the lanes.
  void addToQueries(Value first, Value count, Value query, Value queries) {
    overRowsOnce(queries, [&](Value row, unsigned rows) {
      int64_t registers = llvm::divideCeil(plan.width, registerLanes);
      for (int64_t done = 0; done < registers; done += attentionVectors) {
        int64_t vectors = std::min<int64_t>(attentionVectors, registers - done);
        bool partial = done + vectors == registers && plan.width % registerLanes;
        Value last = partial ? edge() : Value();
        Value a = rowOf(dScores, row), keysFrom = at(at(k, first), done * registerLanes);
        Vectors sums(rows * vectors, real(0));
        sums = multiply(a, e.constant(plan.lanes), e.constant(1), keysFrom, k.step, count, rows, sums, last);
        for (unsigned r = 0; r < rows; ++r)
          for (int64_t x = 0; x < vectors; ++x) {
            Value to = at(at(dq, e.add(e.add(query, row), e.constant(r))), (done + x) * registerLanes);
            Value under = x + 1 == vectors ? last : Value(), sum = sums[r * vectors + x];
            Value so = readVector(to, under);
            write(LLVM::FMulAddOp::create(b, sum.getType(), sum, real(scale), so), to, under);
          }
      }
    });
  }

  /// The scores of queries from `query` on, one row each, with what is hidden at `hiddenScore`.
  Vectors visible(Vectors scores, Value first, Value query, unsigned rows) {
    Value hidden = hiddenScore();
    for (unsigned r = 0; r < rows && mask.base; ++r)
      for (unsigned x = 0; x < attentionVectors; ++x) {
        Value &score = scores[r * attentionVectors + x];
        score = arith::SelectOp::create(b, shown[x], score, hidden);
      }
    if (!plan.op.getCausal())
      return scores;
    // How many of the lanes the first query sees.
    Value sees = e.sub(e.add(e.add(query, e.sub(keys, length)), e.constant(1)), first);
    return choose(isBelow(sees, e.constant(plan.lanes)), scores, [&] {
      Vectors kept = scores;
      for (unsigned r = 0; r < rows; ++r)
        for (unsigned x = 0; x < attentionVectors; ++x) {
          Value &score = kept[r * attentionVectors + x];
          Value past = e.maskBelow(e.sub(e.add(sees, e.constant(r)), e.constant(x * registerLanes)));
          score = arith::SelectOp::create(b, past, score, hidden);
        }
      return kept;
    });
  }

  double scale;
  Value keyBlock, valueBlock, dKeyBlock, dValueBlock, weights, dScores; // on the stack
  Value length, keys, even;
  Place q, k, v, dy, statistic, delta, dq, dk, dv, dBias, mask, bias;
  Vectors shown; // lanes of the block of keys
};
} // namespace

Launch cpu::emitAttentionGrad(Emitter &emitter, const AttentionPlan &plan, const std::string &name) {
  return BackwardEmitter(emitter, plan).run(name);
}
