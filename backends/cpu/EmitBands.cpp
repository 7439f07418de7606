#include "backends/cpu/EmitBands.h"
#include "backends/cpu/Place.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

namespace {
/// The place that a slot of a kernel points to the first element of, over the nest's dimensions; nothing for numbers.
std::optional<std::pair<AffineExpr, int64_t>> placeAndBytes(NestOp nest, const Slot &slot) {
  if (slot.kind == Slot::Result)
    return std::pair(placeOf(nest, slot.result), elementBytes(nest.getResult(slot.result).getType()));
  if (slot.kind != Slot::Tensor)
    return {};
  std::optional<std::pair<AffineExpr, int64_t>> found;
  nest->walk([&](LoadOp load) {
    if (load.getTensor() == slot.tensor)
      found = std::pair(placeOf(load), elementBytes(slot.tensor.getType()));
  });
  return found;
}

int64_t marginBefore(NestOp nest) {
  auto margins = nest->getAttrOfType<DenseI64ArrayAttr>(marginsAttr);
  return margins ? margins[2 * bandDims(nest).back()] : 0;
}
} // namespace

AffineExpr BandEmitter::rowsOf(size_t stage) {
  NestOp nest = stages[stage].nest;
  return nest.size(bandDims(nest).back());
}

BandEmitter::BandEmitter(SmallVector<BandStage> of) : stages(std::move(of)) {
  auto number = [&](AffineExpr expr) {
    numbers.push_back({closureSlots, canonical(expr)});
    return closureSlots++;
  };
  for (auto [i, stage] : llvm::enumerate(stages)) {
    Numbers own;
    own.units = number(stage.launch.units);
    own.rows = number(rowsOf(i));
    SmallVector<unsigned> dims = bandDims(stage.nest);
    for (const Slot &slot : stage.slots) {
      Moves moves;
      if (auto place = placeAndBytes(stage.nest, slot)) {
        bool inBuffer = (slot.kind == Slot::Result && passesOn(stage.nest)) || (slot.kind == Slot::Tensor && isPassedOn(slot.tensor));
        auto by = [&](unsigned dim) { return number(*coefficientOf(place->first, dim) * place->second); };
        moves.row = by(dims.back());
        if (dims.size() > 1 && !inBuffer)
          moves.picture = by(dims.front());
      }
      own.moves.push_back(moves);
    }
    places.push_back(own);
    closures.push_back(closureSlots);
    closureSlots += stage.slots.size();
  }
}

int64_t BandEmitter::grain(const Target &target) {
  // Steps that a thread's first row takes for its halo, in rows of the last kernel's result, and what they cost.
  double all = 0, anew = 0, rows = 1, extra = 0;
  for (size_t i = stages.size(); i-- > 0;) {
    double cost = double(guess(stages[i].launch.cost));
    all += rows * cost, anew += extra * cost;
    if (i) {
      RowWindow window = *windowOf(stages[i].nest, stages[i - 1].nest.getResult(0));
      extra = extra * double(window.step) + double(window.count - window.step);
      rows *= double(window.step);
    }
  }
  int64_t share = std::max<int64_t>(1, constantOf(rowsOf(stages.size() - 1)).value_or(128) / target.cores);
  int64_t good = int64_t(16 * anew / all), least = int64_t(4 * anew / all);
  return std::max<int64_t>({1, least, std::min(good, share)});
}

/// The code of the function, while it is built.
class BandEmitter::Code {
public:
  Code(BandEmitter &band, ImplicitLocOpBuilder &b, LLVM::LLVMFuncOp function) : band(band), b(b) {
    Block *block = function.addEntryBlock(b);
    b.setInsertionPointToEnd(block);
    i64 = b.getI64Type(), pointer = LLVM::LLVMPointerType::get(b.getContext());
    closure = block->getArgument(0), begin = block->getArgument(1), end = block->getArgument(2);
  }

  void run() {
    for (size_t i = 0; i < band.stages.size(); ++i)
      open(i);
    // A unit is a row of a picture.
    size_t last = band.stages.size() - 1;
    Value rows = number(band.places[last].rows);
    auto loop = scf::ForOp::create(b, begin, end, constant(1));
    b.setInsertionPointToStart(loop.getBody());
    Value unit = loop.getInductionVar();
    Value picture = arith::DivUIOp::create(b, unit, rows), row = arith::RemUIOp::create(b, unit, rows);
    Value first = arith::OrIOp::create(b, equal(unit, begin), equal(row, constant(0)));
    auto when = scf::IfOp::create(b, first, /*withElse=*/false);
    b.setInsertionPointToStart(when.thenBlock());
    startAt(row);
    b.setInsertionPointAfter(when);
    make(last, picture, row);
    b.setInsertionPointAfter(loop);
    LLVM::ReturnOp::create(b, ValueRange());
  }

private:
  struct Rows {
    Value closure; // of the kernel, this thread's
    // Of what the kernel passes on: the buffer, and two numbers in memory, the row at its front and the row behind the last one.
    // Rows count from the first of the margins.
    Value buffer, front, behind;
    int64_t bytes = 0, kept = 0, before = 0;
  };

  Value constant(int64_t value) { return arith::ConstantOp::create(b, b.getI64IntegerAttr(value)); }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulIOp::create(b, x, y); }
  Value equal(Value x, Value y) { return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x, y); }
  Value slot(Value of, size_t i) {
    return LLVM::GEPOp::create(b, pointer, i64, of, ArrayRef<LLVM::GEPArg>{int32_t(i)});
  }
  Value move(Value base, Value bytes) {
    return LLVM::GEPOp::create(b, pointer, b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{bytes});
  }
  Value load(Value place, Type type) { return LLVM::LoadOp::create(b, type, place, 8); }
  void store(Value value, Value place) { LLVM::StoreOp::create(b, value, place, 8); }
  Value number(size_t place) { return load(slot(closure, place), i64); }
  Value allocate(int64_t bytes) { return LLVM::AllocaOp::create(b, pointer, b.getI8Type(), constant(bytes), 64); }
  void clear(Value from, Value bytes) {
    LLVM::MemsetOp::create(b, from, arith::ConstantOp::create(b, b.getI8IntegerAttr(0)), bytes, false);
  }
  RowWindow windowOf(size_t reader) {
    return *cpu::windowOf(band.stages[reader].nest, band.stages[reader - 1].nest.getResult(0));
  }

  /// Memory of a stage: its closure, and the buffer of what it passes on, in which nothing but the rows is written later.
  void open(size_t i) {
    const BandStage &stage = band.stages[i];
    Rows own;
    own.closure = allocate(8 * int64_t(std::max<size_t>(1, stage.slots.size())));
    LLVM::MemcpyOp::create(b, own.closure, slot(closure, band.closures[i]), constant(8 * int64_t(stage.slots.size())), false);
    if (passesOn(stage.nest)) {
      own.bytes = rowBytes(stage.nest), own.kept = bandOf(stage.nest)->kept, own.before = marginBefore(stage.nest);
      own.buffer = allocate(own.kept * own.bytes);
      own.front = allocate(8), own.behind = allocate(8);
      clearMargins(stage.nest, own);
    }
    rows.push_back(own);
  }

  /// The margins inside of rows. Those of the last dimension with one are two runs in each place of the dimensions around it.
  void clearMargins(NestOp nest, const Rows &own) {
    auto margins = nest->getAttrOfType<DenseI64ArrayAttr>(marginsAttr);
    if (!margins)
      return;
    SmallVector<int64_t> inside(ArrayRef(nest.layout(0)).drop_front(bandDims(nest).size()));
    SmallVector<AffineExpr> strides = stridesOf(nest.getResult(0)), sizes = sizesOf(nest.getResult(0).getType());
    int64_t element = elementBytes(nest.getResult(0).getType());
    auto hasMargin = [&](int64_t dim) { return margins[2 * dim] || margins[2 * dim + 1]; };
    if (llvm::none_of(inside, hasMargin))
      return;
    int64_t dim = inside.front();
    auto stride = constantOf(strides[dim]), size = constantOf(sizes[dim]);
    if (llvm::any_of(ArrayRef(inside).drop_front(), hasMargin) || !stride || !size)
      return clear(own.buffer, constant(own.kept * own.bytes));
    auto loop = scf::ForOp::create(b, constant(0), constant(own.kept), constant(1));
    b.setInsertionPointToStart(loop.getBody());
    Value row = move(own.buffer, mul(loop.getInductionVar(), constant(own.bytes)));
    int64_t each = *stride * element;
    if (margins[2 * dim])
      clear(row, constant(margins[2 * dim] * each));
    if (margins[2 * dim + 1])
      clear(move(row, constant((*size - margins[2 * dim + 1]) * each)), constant(margins[2 * dim + 1] * each));
    b.setInsertionPointAfter(loop);
  }

  /// Nothing is kept: the buffers begin with what the row `row` of the last result needs.
  void startAt(Value row) {
    for (size_t i = band.stages.size(); i-- > 1;) {
      RowWindow window = windowOf(i);
      Rows &from = rows[i - 1];
      Value low = add(mul(row, constant(window.step)), constant(window.from));
      store(low, from.front), store(low, from.behind);
      row = arith::MaxSIOp::create(b, sub(low, constant(from.before)), constant(0));
    }
  }

  /// The address that row 0 of a buffer would have.
  Value origin(const Rows &of) { return move(of.buffer, mul(load(of.front, i64), constant(-of.bytes))); }

  /// One row of a stage's result, and before it the rows that it needs and that are not there.
  void make(size_t i, Value picture, Value row) {
    if (i)
      provide(i, picture, row);
    const BandStage &stage = band.stages[i];
    for (auto [k, slotOf] : llvm::enumerate(stage.slots)) {
      const Moves &moves = band.places[i].moves[k];
      if (!moves.row)
        continue;
      Value base;
      if (slotOf.kind == Slot::Result && passesOn(stage.nest))
        base = origin(rows[i]);
      else if (slotOf.kind == Slot::Tensor && isPassedOn(slotOf.tensor))
        base = origin(rows[i - 1]);
      else
        base = load(slot(closure, band.closures[i] + k), pointer);
      if (moves.picture)
        base = move(base, mul(picture, number(*moves.picture)));
      store(move(base, mul(row, number(*moves.row))), slot(rows[i].closure, k));
    }
    LLVM::CallOp::create(b, TypeRange(), stage.launch.function, ValueRange{rows[i].closure, constant(0), number(band.places[i].units)});
  }

  void provide(size_t reader, Value picture, Value row) {
    RowWindow window = windowOf(reader);
    Rows &from = rows[reader - 1];
    Value low = add(mul(row, constant(window.step)), constant(window.from)), high = add(low, constant(window.count));
    auto loop = scf::ForOp::create(b, load(from.behind, i64), high, constant(1));
    b.setInsertionPointToStart(loop.getBody());
    Value next = loop.getInductionVar();
    // A full buffer keeps what is still to be read.
    Value full = equal(sub(next, load(from.front, i64)), constant(from.kept));
    auto when = scf::IfOp::create(b, full, /*withElse=*/false);
    b.setInsertionPointToStart(when.thenBlock());
    if (window.count > window.step)
      LLVM::MemmoveOp::create(b, from.buffer, move(origin(from), mul(low, constant(from.bytes))),
                              mul(sub(next, low), constant(from.bytes)), false);
    store(low, from.front);
    b.setInsertionPointAfter(when);
    // Rows before and behind the picture are zeros.
    Value own = sub(next, constant(from.before));
    if (!band.stages[reader - 1].nest->hasAttr(marginsAttr)) {
      make(reader - 1, picture, own);
    } else {
      Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, own, number(band.places[reader - 1].rows));
      auto choose = scf::IfOp::create(b, inside, /*withElse=*/true);
      b.setInsertionPointToStart(choose.thenBlock());
      make(reader - 1, picture, own);
      b.setInsertionPointToStart(choose.elseBlock());
      clear(move(origin(from), mul(next, constant(from.bytes))), constant(from.bytes));
      b.setInsertionPointAfter(choose);
    }
    b.setInsertionPointAfter(loop);
    store(arith::MaxSIOp::create(b, load(from.behind, i64), high), from.behind);
  }

  BandEmitter &band;
  ImplicitLocOpBuilder &b;
  Type i64, pointer;
  Value closure, begin, end;
  SmallVector<Rows> rows;
};

Launch BandEmitter::emit(const std::string &name, OpBuilder &outer) {
  ImplicitLocOpBuilder b(stages.front().nest.getLoc(), outer);
  b.setInsertionPoint(outer.getInsertionBlock(), outer.getInsertionPoint());
  Type i64 = b.getI64Type(), pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), {pointer, i64, i64});
  auto function = LLVM::LLVMFuncOp::create(b, name, type, LLVM::Linkage::External);
  function.setVisibility_(LLVM::Visibility::Hidden);
  Code(*this, b, function).run();

  Launch all{name, b.getAffineConstantExpr(1), b.getAffineConstantExpr(0)};
  for (const BandStage &stage : stages) {
    AffineExpr rows = b.getAffineConstantExpr(1);
    for (unsigned dim : bandDims(stage.nest))
      rows = rows * NestOp(stage.nest).size(dim);
    all.cost = canonical(all.cost + rows * stage.launch.cost);
    all.units = canonical(rows);
  }
  return all;
}
