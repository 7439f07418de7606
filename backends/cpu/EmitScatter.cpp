// First the table is cleared, in contiguous pieces. Then a unit of work is a block of columns: it goes through the ids in
// order and adds each update's part of it. So every sum has one order whatever the number of threads, the work is
// O(rows * width + ids * width), and rows that many ids name (spaces, stop words) load all threads alike.
#include "backends/cpu/EmitScatter.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

/// Registers abreast in a block: 256 bytes of AVX-512, so that neighbours seldom share a cache line.
constexpr int64_t vectorsAbreast = 4;
/// Elements that one unit clears.
constexpr int64_t clearedAtOnce = 16384;

Scatter cpu::planScatter(ScatterOp scatter, const Target &target) {
  Scatter plan;
  SmallVector<AffineExpr> table = sizesOf(scatter.getResult().getType());
  int64_t block = vectorsAbreast * target.lanes;
  plan.ids = canonical(elementCount(scatter.getIds().getType()));
  plan.rows = table[0];
  plan.width = getAffineConstantExpr(1, scatter.getContext());
  for (AffineExpr size : ArrayRef(table).drop_front())
    plan.width = plan.width * size;
  plan.width = canonical(plan.width);
  AffineExpr elements = canonical(plan.rows * plan.width);
  plan.clearUnits = canonical((elements + (clearedAtOnce - 1)).floorDiv(clearedAtOnce));
  plan.clearCost = elements;
  plan.units = canonical((plan.width + (block - 1)).floorDiv(block));
  plan.cost = canonical(plan.ids * plan.width * 2);
  return plan;
}

void cpu::emitScatter(ScatterOp scatter, const Target &target, const std::string &name, ImplicitLocOpBuilder &b) {
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  Type i64 = b.getI64Type(), element = scalarType(scatter.getUpdates().getType()),
       idType = scalarType(scatter.getIds().getType());
  bool unsignedIds = scatter.getIds().getType().getElementType().isUnsignedInteger();
  unsigned align = elementBytes(scatter.getUpdates().getType());
  auto vector = VectorType::get({int64_t(target.lanes)}, element);
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), {pointer, i64, i64});
  Block *entry = nullptr;
  auto open = [&](const std::string &name) {
    auto function = LLVM::LLVMFuncOp::create(b, name, type, LLVM::Linkage::WeakODR);
    function.setVisibility_(LLVM::Visibility::Hidden);
    entry = function.addEntryBlock(b);
    b.setInsertionPointToEnd(entry);
    return function;
  };
  auto close = [&](LLVM::LLVMFuncOp function) {
    LLVM::ReturnOp::create(b, ValueRange());
    b.setInsertionPointAfter(function);
  };

  auto constant = [&](int64_t value) -> Value { return arith::ConstantOp::create(b, b.getI64IntegerAttr(value)); };
  auto slot = [&](int32_t i, Type type) -> Value {
    Value place = LLVM::GEPOp::create(b, pointer, i64, entry->getArgument(0), ArrayRef<LLVM::GEPArg>{i});
    return LLVM::LoadOp::create(b, type, place, 8, false, false, /*isInvariant=*/true);
  };
  auto at = [&](Value base, Value index, Type type) -> Value {
    return LLVM::GEPOp::create(b, pointer, type, base, ArrayRef<LLVM::GEPArg>{index});
  };
  auto loop = [&](Value from, Value to, int64_t step, auto body) {
    auto over = scf::ForOp::create(b, from, to, constant(step));
    b.setInsertionPointToStart(over.getBody());
    body(over.getInductionVar());
    b.setInsertionPointAfter(over);
  };
  // Whole vectors of [first, end), then element by element.
  auto columns = [&](Value first, Value end, auto each) {
    Value rest = arith::RemUIOp::create(b, arith::SubIOp::create(b, end, first), constant(target.lanes));
    Value whole = arith::SubIOp::create(b, end, rest);
    loop(first, whole, target.lanes, [&](Value column) { each(column, vector); });
    loop(whole, end, 1, [&](Value column) { each(column, element); });
  };
  auto blockOf = [&](Value unit, int64_t length, Value size) {
    Value first = arith::MulIOp::create(b, unit, constant(length));
    Value end = arith::MinSIOp::create(b, arith::AddIOp::create(b, first, constant(length)), size);
    return std::pair(first, end);
  };

  LLVM::LLVMFuncOp clear = open(name + "_clear");
  Value cleared = slot(2, pointer), size = arith::MulIOp::create(b, slot(4, i64), slot(5, i64));
  loop(entry->getArgument(1), entry->getArgument(2), 1, [&](Value unit) {
    auto [first, end] = blockOf(unit, clearedAtOnce, size);
    columns(first, end, [&](Value i, Type type) {
      Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
      LLVM::StoreOp::create(b, zero, at(cleared, i, element), align);
    });
  });
  close(clear);

  LLVM::LLVMFuncOp add = open(name);
  Value updates = slot(0, pointer), ids = slot(1, pointer), table = slot(2, pointer), count = slot(3, i64),
        width = slot(5, i64);
  loop(entry->getArgument(1), entry->getArgument(2), 1, [&](Value unit) {
    auto [first, end] = blockOf(unit, vectorsAbreast * target.lanes, width);
    loop(constant(0), count, 1, [&](Value i) {
      Value id = LLVM::LoadOp::create(b, idType, at(ids, i, idType), elementBytes(scatter.getIds().getType()));
      if (idType != i64)
        id = unsignedIds ? Value(arith::ExtUIOp::create(b, i64, id)) : Value(arith::ExtSIOp::create(b, i64, id));
      Value from = at(updates, arith::MulIOp::create(b, i, width), element);
      Value to = at(table, arith::MulIOp::create(b, id, width), element);
      columns(first, end, [&](Value column, Type type) {
        Value place = at(to, column, element);
        Value sum = LLVM::LoadOp::create(b, type, place, align);
        Value update = LLVM::LoadOp::create(b, type, at(from, column, element), align);
        sum = isa<FloatType>(element) ? Value(arith::AddFOp::create(b, sum, update))
                                      : Value(arith::AddIOp::create(b, sum, update));
        LLVM::StoreOp::create(b, sum, place, align);
      });
    });
  });
  close(add);
}
