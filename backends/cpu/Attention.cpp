#include "backends/cpu/Attention.h"
#include "ir/Attention.h"
#include "ir/Dims.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// Dimensions of the maps: n, position, h, d (of the bias n, query, h, key); those of numbers of queries n, h, position; those of
/// the mask n, position;
/// one number for each sequence has n alone.
AttentionTensor tensorAt(Slot slot, AffineMap map, ArrayRef<AffineExpr> strides) {
  MLIRContext *context = map.getContext();
  AffineExpr place = getAffineConstantExpr(0, context);
  for (auto [index, stride] : llvm::zip(map.getResults(), strides))
    place = place + index * stride;
  SmallVector<AffineExpr> zeros(map.getNumDims(), getAffineConstantExpr(0, context));
  AttentionTensor tensor{slot, canonical(place.replaceDims(zeros)), {}, {}, {}, {}};
  auto step = [&](unsigned dim) {
    SmallVector<AffineExpr> one = zeros;
    one[dim] = getAffineConstantExpr(1, context);
    return canonical(place.replaceDims(one) - tensor.first);
  };
  bool perQuery = map.getNumDims() == 3;
  tensor.batch = step(0);
  tensor.position = map.getNumDims() == 1 ? getAffineConstantExpr(0, context) : step(perQuery ? 2 : 1);
  tensor.head = map.getNumDims() <= 2 ? getAffineConstantExpr(0, context) : step(perQuery ? 1 : 2);
  tensor.element = step(map.getNumDims() - 1);
  return tensor;
}
} // namespace

AttentionPlan::AttentionPlan(AttendOp op, const Target &target) : op(op) {
  AffineMap sizes = op.getSizes();
  batch = sizes.getResult(0), heads = sizes.getResult(1), queries = sizes.getResult(2), keys = sizes.getResult(3);
  width = *constantOf(sizes.getResult(4));
  groups = op.getCached() ? sizes.getResult(5) : heads;
  // Accumulators, the vectors that they share and a broadcast fill the registers.
  rows = target.registers >= 32 ? 12 : 6;
  lanes = int64_t(attentionVectors) * target.lanes;
  for (auto [i, input] : llvm::enumerate(op.getInputs()))
    inputs.push_back(tensorAt({Slot::Tensor, {}, unsigned(i), {}}, cast<AffineMapAttr>(op.getMaps()[i]).getValue(),
                              stridesOf(input)));
  for (auto [i, result] : llvm::enumerate(op.getResults())) {
    unsigned rank = cast<RankedTensorType>(result.getType()).getRank();
    auto map = AffineMap::getMultiDimIdentityMap(rank, op.getContext());
    if (op.getBackward() && i == 3) { // the bias, whose sizes of 1 stand for all
      map = biasOverPositions(result.getType());
      sharedBatch = !map.isFunctionOfDim(0), sharedHeads = !map.isFunctionOfDim(2);
    }
    results.push_back(tensorAt({Slot::Result, {}, unsigned(i), {}}, map, stridesOf(result)));
  }
  AffineExpr blocks = (queries + (lanes - 1)).floorDiv(lanes);
  AffineExpr all = getAffineConstantExpr(1, op.getContext());
  units = canonical(op.getCached()     ? batch * groups * queries
                    : op.getBackward() ? (sharedBatch ? all : batch) * (sharedHeads ? all : heads)
                                       : batch * heads * blocks);
  int64_t each = op.getBackward() ? 5 * width + 20 : 2 * width + 20; // multiply-adds, and what exp takes
  cost = canonical(batch * heads * queries * keys * each);
}

AffineExpr AttentionPlan::keptBlocks() const { return canonical(keys.floorDiv(keptAtOnce) + 1); }

int64_t AttentionPlan::partOfHead() const { return llvm::alignTo(width, lanes / attentionVectors) + 2; }

AffineExpr AttentionPlan::scratchBytes() const {
  int64_t each = *constantOf(heads) * partOfHead() * 4;
  return canonical(batch * keys * llvm::divideCeil(each, keptAtOnce) + batch * each);
}

std::string cpu::keyOf(AttendOp op) {
  std::string key;
  llvm::raw_string_ostream out(key);
  out << op->getName() << op.getSizes() << op.getMaps() << op.getScale() << op.getCausal() << op.getStrict() << op.getMasked() << op.getBiased()
      << op.getBackward() << op.getCached();
  for (Value input : op.getInputs()) {
    out << '\n' << input.getType();
    llvm::interleave(layoutOf(input), out, ",");
  }
  return key;
}
