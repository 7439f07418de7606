// What each instruction computes: Intel SDM vol. 2, PMADDWD, VPDPBUSD, VDPBF16PS, and "Intel AMX" in vol. 1, ch. 18.
#include "backends/cpu/Emulate.h"
#include "backends/cpu/Panels.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;
using namespace mlir::bigm::cpu;

namespace {

/// Tile registers have 16 rows of 64 bytes, in the one configuration that kernels ask for.
constexpr int64_t tileRows = Panels::lines, rowBytes = Panels::lineBytes, tileBytes = Panels::tileBytes, tileCount = 8;

/// Writes the ops that stand for one call.
class Emulation {
public:
  explicit Emulation(LLVM::CallIntrinsicOp call) : call(call), b(call.getLoc(), call) {}
  LogicalResult replace();

private:
  Value number(int64_t value) { return LLVM::ConstantOp::create(b, b.getI64Type(), b.getI64IntegerAttr(value)); }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value scaled(Value x, int64_t by) { return arith::MulIOp::create(b, x, number(by)); }
  Value after(Value base, Value bytes) {
    return LLVM::GEPOp::create(b, base.getType(), b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{bytes});
  }
  void loop(int64_t count, llvm::function_ref<void(Value)> body);

  /// A vector as words of 32 bits.
  Value words(Value vector) {
    auto type = cast<VectorType>(vector.getType());
    int64_t bits = type.getNumElements() * type.getElementTypeBitWidth();
    return LLVM::BitcastOp::create(b, VectorType::get({bits / 32}, b.getI32Type()), vector);
  }
  Value like(Value vector, int64_t value) {
    return arith::ConstantOp::create(b, DenseElementsAttr::get(cast<ShapedType>(vector.getType()), b.getI32IntegerAttr(int32_t(value))));
  }
  /// `count` bits of each word from bit `from` on, with their sign or without.
  Value part(Value of, int64_t from, int64_t count, bool isSigned) {
    Value high = arith::ShLIOp::create(b, of, like(of, 32 - from - count)), by = like(of, 32 - count);
    return isSigned ? Value(arith::ShRSIOp::create(b, high, by)) : Value(arith::ShRUIOp::create(b, high, by));
  }
  /// The sum over the parts of words, `bits` each, of the products of those of `x` and of `y`.
  Value wholeProducts(Value sum, Value x, Value y, int64_t bits, bool xIsSigned);
  /// A word is two bf16.
  Value pairProducts(Value sum, Value x, Value y);

  Value tile(unsigned operand);
  void copyRows(Value from, Value fromStride, Value to, Value toStride);
  void multiplyTiles(Value d, Value x, Value y);

  LLVM::CallIntrinsicOp call;
  ImplicitLocOpBuilder b;
};

void Emulation::loop(int64_t count, llvm::function_ref<void(Value)> body) {
  auto over = scf::ForOp::create(b, number(0), number(count), number(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(over.getBody());
  body(over.getInductionVar());
}

Value Emulation::wholeProducts(Value sum, Value x, Value y, int64_t bits, bool xIsSigned) {
  x = words(x), y = words(y);
  for (int64_t from = 0; from < 32; from += bits)
    sum = add(sum, arith::MulIOp::create(b, part(x, from, bits, xIsSigned), part(y, from, bits, true)));
  return sum;
}

Value Emulation::pairProducts(Value sum, Value x, Value y) {
  x = words(x), y = words(y);
  Type floats = sum.getType();
  auto odd = [&](Value of) { return LLVM::BitcastOp::create(b, floats, arith::AndIOp::create(b, of, like(of, -65536))); };
  auto even = [&](Value of) { return LLVM::BitcastOp::create(b, floats, arith::ShLIOp::create(b, of, like(of, 16))); };
  sum = LLVM::FMulAddOp::create(b, floats, even(x), even(y), sum);
  return LLVM::FMulAddOp::create(b, floats, odd(x), odd(y), sum);
}

Value Emulation::tile(unsigned operand) {
  auto number = call.getArgs()[operand].getDefiningOp<LLVM::ConstantOp>();
  auto function = call->getParentOfType<LLVM::LLVMFuncOp>();
  // The registers of the function, in memory: the first of its ops when it has some already.
  Operation *first = &function.getBody().front().front();
  StringRef mark = "emulated_tiles";
  OpBuilder::InsertionGuard guard(b);
  if (!first->hasAttr(mark)) {
    b.setInsertionPointToStart(&function.getBody().front());
    // The size is an op in front of what it sizes, and takes the mark.
    auto bytes = LLVM::ConstantOp::create(b, b.getI64Type(), b.getI64IntegerAttr(tileCount * tileBytes));
    LLVM::AllocaOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), b.getI8Type(), bytes, rowBytes);
    bytes->setAttr(mark, b.getUnitAttr());
    first = bytes;
  }
  b.setInsertionPoint(call);
  return after(first->getNextNode()->getResult(0), this->number(cast<IntegerAttr>(number.getValue()).getInt() * tileBytes));
}

void Emulation::copyRows(Value from, Value fromStride, Value to, Value toStride) {
  loop(tileRows, [&](Value row) {
    Value line = LLVM::LoadOp::create(b, VectorType::get({tileRows}, b.getI32Type()),
                                      after(from, arith::MulIOp::create(b, row, fromStride)), /*alignment=*/1);
    LLVM::StoreOp::create(b, line, after(to, arith::MulIOp::create(b, row, toStride)), /*alignment=*/1);
  });
}

void Emulation::multiplyTiles(Value d, Value x, Value y) {
  Type floats = VectorType::get({tileRows}, b.getF32Type()), pairs = VectorType::get({tileRows}, b.getI32Type());
  loop(tileRows, [&](Value row) {
    Value place = after(d, scaled(row, rowBytes));
    loop(tileRows, [&](Value k) {
      Value sum = LLVM::LoadOp::create(b, floats, place, rowBytes);
      Value word = LLVM::LoadOp::create(b, b.getI32Type(), after(x, add(scaled(row, rowBytes), scaled(k, 4))), 4);
      Value line = LLVM::LoadOp::create(b, pairs, after(y, scaled(k, rowBytes)), rowBytes);
      Value all = LLVM::UndefOp::create(b, pairs);
      for (int64_t i = 0; i < tileRows; ++i)
        all = LLVM::InsertElementOp::create(b, all, word, number(i));
      LLVM::StoreOp::create(b, pairProducts(sum, all, line), place, rowBytes);
    });
  });
}

LogicalResult Emulation::replace() {
  StringRef name = call.getIntrin();
  ValueRange operands = call.getArgs();
  Value result;
  if (name.starts_with("llvm.x86.avx512.pmaddw.d") || name.starts_with("llvm.x86.avx2.pmadd.wd") || name.starts_with("llvm.x86.sse2.pmadd.wd"))
    result = wholeProducts(like(words(operands[0]), 0), operands[0], operands[1], 16, true);
  else if (name.starts_with("llvm.x86.avx512.vpdpbusd."))
    result = wholeProducts(operands[0], operands[1], operands[2], 8, false);
  else if (name.starts_with("llvm.x86.avx512bf16.dpbf16ps."))
    result = pairProducts(operands[0], operands[1], operands[2]);
  else if (name == "llvm.x86.tilezero") {
    Value zero = LLVM::ZeroOp::create(b, VectorType::get({tileRows}, b.getI32Type())), to = tile(0);
    loop(tileRows, [&](Value row) { LLVM::StoreOp::create(b, zero, after(to, scaled(row, rowBytes)), rowBytes); });
  } else if (name == "llvm.x86.tileloadd64")
    copyRows(operands[1], operands[2], tile(0), number(rowBytes));
  else if (name == "llvm.x86.tilestored64")
    copyRows(tile(0), number(rowBytes), operands[1], operands[2]);
  else if (name == "llvm.x86.tdpbf16ps")
    multiplyTiles(tile(0), tile(1), tile(2));
  else if (name != "llvm.x86.ldtilecfg" && name != "llvm.x86.tilerelease")
    return call.emitError() << "no emulation of `" << name << "`";
  if (result)
    call.getResult(0).replaceAllUsesWith(result);
  call.erase();
  return success();
}

} // namespace

LogicalResult bigm::cpu::emulateInstructions(ModuleOp module) {
  SmallVector<LLVM::CallIntrinsicOp> calls;
  module.walk([&](LLVM::CallIntrinsicOp call) { calls.push_back(call); });
  for (LLVM::CallIntrinsicOp call : calls)
    if (failed(Emulation(call).replace()))
      return failure();
  return success();
}
