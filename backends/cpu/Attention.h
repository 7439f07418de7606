// The kernel of kernel.attend: attention forward and backward without a matrix of scores in memory.
//
// Forward, a unit is a block of queries of one head, as many as `attentionVectors` registers have lanes; it passes over
// the keys, block by block, and keeps for each query the largest score, the sum of weights and the mixed values so far
// (online softmax: Milakov and Gimelshein 2018; Dao 2023, FlashAttention-2, algorithm 1). Queries are the lanes, so that
// largest scores and sums never cross lanes, and elements of keys and values are broadcast from where they lie.
//
// Backward, a unit is one head: it passes over blocks of keys, which are the lanes, and for each over the queries. The
// gradients of keys and values of the block stay at hand, that of the queries is added to. Weights come again from the
// statistic. So every sum has one order, whatever the number of threads. The gradient of a bias is added to in memory like that of the
// queries; a unit then takes all sequences and heads that share the bias.
//
// Over kept rows (`cached`), see EmitCachedAttention.cpp.
//
// What a block needs lies on the stack: at most 22 KiB for heads of 64 on AVX2, twice that on AVX-512.
#pragma once
#include "backends/cpu/EmitNest.h"

namespace mlir::bigm::cpu {

/// Where an input or result lies: the place of an element is linear in (n, position, h, d), as far as it has these; that of the
/// bias in (n, query, h, key).
struct AttentionTensor {
  Slot slot;
  AffineExpr first, batch, position, head, element;
};

struct AttentionPlan {
  AttentionPlan(kernel::AttendOp op, const Target &target);

  /// Kept keys of one block, and how many blocks there may be: one for the new key where none is kept.
  static constexpr int64_t keptAtOnce = 64;
  AffineExpr keptBlocks() const;
  /// Numbers that a block leaves of each head: what it mixed, in whole registers, the largest score and the sum of weights.
  int64_t partOfHead() const;
  /// Bytes of all of them, at most, as a sum of products of sizes.
  AffineExpr scratchBytes() const;

  mutable kernel::AttendOp op; // a handle: its methods are not const
  AffineExpr batch, heads, queries, keys;
  AffineExpr groups; // heads of keys
  int64_t width; // of a head
  SmallVector<AttentionTensor> inputs, results;
  const AttentionTensor &mask() const { return inputs[inputs.size() - (op.getBiased() ? 2 : 1)]; }
  const AttentionTensor &bias() const { return inputs.back(); }
  /// Whether the gradient of the bias is asked for, and sums over all sequences or heads.
  bool biasGradient() const { return op.getBackward() && results.size() > 3; }
  bool sharedBatch = false, sharedHeads = false;
  AffineExpr units, cost;
  unsigned rows;  // of a block of accumulators, `attentionVectors` registers abreast
  int64_t lanes;  // of such a row
};

/// Registers abreast in a block of accumulators.
constexpr unsigned attentionVectors = 2;

/// What the kernel computes, as text: equal keys are equal code.
std::string keyOf(kernel::AttendOp op);
/// Emits the kernel under `name`. Slots of the emitter name inputs and results of the op by number, in `result`.
Launch emitAttention(Emitter &emitter, const AttentionPlan &plan, const std::string &name);
SmallVector<Launch> emitCachedAttention(Emitter &emitter, const AttentionPlan &plan, const std::string &name);
Launch emitAttentionGrad(Emitter &emitter, const AttentionPlan &plan, const std::string &name);

} // namespace mlir::bigm::cpu
