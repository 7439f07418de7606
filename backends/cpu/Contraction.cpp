// The numbers that follow from a plan, and which of the plans a contraction gets.
#include "backends/cpu/ChooseBlock.h"
#include "backends/cpu/Winograd.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

unsigned Contraction::unrolledRows() const {
  unsigned count = 1;
  for (const Loop &loop : unrolled)
    count *= *constantOf(loop.size);
  return count;
}

int64_t Contraction::stepsOfPass() const {
  int64_t steps = chunk ? chunk : 1;
  for (unsigned depth = chunk ? chunkDepth + 1 : 0; depth < reduced.size(); ++depth)
    steps *= constantOf(reduced[depth].size).value_or(int64_t(1) << 20);
  return steps;
}

AffineExpr Contraction::rowCount() const {
  AffineExpr count = getAffineConstantExpr(1, NestOp(s.nest).getContext());
  for (const Loop &loop : rows)
    count = count * loop.size;
  return canonical(count);
}
AffineExpr Contraction::rowBlocks() const {
  int64_t each = int64_t(tile) * tiles;
  return (rowCount() + (each - 1)).floorDiv(each);
}
AffineExpr Contraction::columnBlocks() const {
  int64_t each = width() * panels;
  return (vectorSize + (each - 1)).floorDiv(each);
}

AffineExpr Contraction::scratchBytes() const {
  if (splits == 1)
    return getAffineConstantExpr(0, NestOp(s.nest).getContext());
  return canonical(units * (splits * accumulators() * accumulatorBytes()));
}
int64_t Contraction::accumulatorBytes() const {
  Type element = NestOp(s.nest).getBody().front().getTerminator()->getOperand(0).getType();
  return int64_t(lanes) * element.getIntOrFloatBitWidth() / 8;
}

bool cpu::isUnsigned(LoadOp load) { return isa<arith::ExtUIOp>(*load->user_begin()); }

std::optional<Contraction> cpu::planContraction(NestOp nest, const Target &target) {
  if (!nest.getContraction() || nest.getKinds().size() != 1)
    return std::nullopt;
  if (nest->hasAttr(winogradAttr))
    return planWinograd(nest, target);
  if (nest->hasAttr(onTilesAttr))
    return planTiles(nest, target);
  return planBlocks(nest, target);
}
