// Which attention has a kernel of its own, and how it is called.
#include "ir/Attention.h"
#include "passes/LowerOps.h"
#include "passes/Passes.h"
#include <cmath>

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::kernel;

static bool widthHasKernel(RankedTensorType queries) {
  constexpr int64_t widest = 256;
  return queries.getElementType().isF32() && !queries.isDynamicDim(3) && queries.getDimSize(3) <= widest;
}

/// Its blocks are of a known width, and their memory is on the stack. Queries are the lanes of vectors; a few of them, as
/// when text is written word by word, leave most lanes idle. The parts then are faster (one query over 512 keys 2.4 times,
/// eight 1.3 times, on AVX2), and their scores are no square.
bool bigm::attentionHasKernel(RankedTensorType queries) {
  constexpr int64_t fewQueries = 8;
  return widthHasKernel(queries) && (queries.isDynamicDim(1) || queries.getDimSize(1) > fewQueries);
}

bool kernel::hasKernel(Operation *op) {
  auto type = cast<RankedTensorType>(op->getOperand(0).getType());
  auto cached = dyn_cast<CachedAttentionOp>(op);
  if (!cached)
    return attentionHasKernel(type);
  for (Value number : {cached.getSlot(), cached.getPast()})
    if (!cast<RankedTensorType>(number.getType()).getElementType().isInteger(32))
      return false;
  return widthHasKernel(type);
}

/// Queries, keys, values and what has one number a query are read as they lie; fuse-kernels looks through views.
SmallVector<Value> kernel::lowerAttention(NestBuilder &b, Operation *op) {
  SmallVector<AffineExpr> queries = sizesOf(op->getOperand(0).getType()), keys = sizesOf(op->getOperand(1).getType());
  SmallVector<AffineExpr> sizes = {queries[0], queries[2], queries[1], keys[1], queries[3]};
  SmallVector<AffineMap> maps;
  for (Value operand : op->getOperands()) {
    unsigned rank = cast<RankedTensorType>(operand.getType()).getRank();
    maps.push_back(AffineMap::getMultiDimIdentityMap(rank, b.builder.getContext()));
  }
  bool backward = isa<AttentionGradOp>(op), cached = isa<CachedAttentionOp>(op);
  double scale = 1 / std::sqrt(double(cast<AffineConstantExpr>(queries[3]).getValue()));
  bool masked = false, strict = false;
  Value bias;
  auto read = [&](auto attention) {
    masked = bool(attention.getMask()), strict = attention.getStrict(), bias = attention.getBias();
    if (auto given = attention.getScale())
      scale = given->convertToDouble();
  };
  if (auto forward = dyn_cast<AttentionOp>(op))
    read(forward);
  else if (auto gradient = dyn_cast<AttentionGradOp>(op))
    read(gradient);
  if (bias)
    maps.back() = biasOverPositions(bias.getType());
  if (cached) {
    AffineExpr heads = keys[2];
    sizes[3] = sizesOf(op->getOperand(3).getType())[1];
    sizes.push_back(heads);
  }
  auto kernel = AttendOp::create(
      b.builder, b.loc, op->getResultTypes(), op->getOperands(), AffineMap::get(0, b.symbols, sizes, b.builder.getContext()),
      b.builder.getAffineMapArrayAttr(maps), APFloat(scale), op->hasAttr("causal") || cached, strict, masked,
      bool(bias), backward, cached);
  return SmallVector<Value>(kernel.getResults());
}
