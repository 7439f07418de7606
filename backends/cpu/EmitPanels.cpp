// Packing of panels: whole vectors are read along memory, cut into pieces, and turned in registers where the panel runs the
// other way.
#include "backends/cpu/Panels.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

void Panels::setOn(NestOp nest) const {
  nest->setAttr(attr, DenseI64ArrayAttr::get(nest.getContext(), {columns, alongSum, int64_t(pieces)}));
}
std::optional<Panels> Panels::of(NestOp nest) {
  auto values = nest->getAttrOfType<DenseI64ArrayAttr>(attr);
  return values ? std::optional(Panels{values[0] != 0, values[1] != 0, unsigned(values[2])}) : std::nullopt;
}
AffineExpr Panels::units(NestOp nest) const {
  return canonical(nest.size(!alongSum) * (nest.size(alongSum) + (blocksOfUnit - 1)).floorDiv(blocksOfUnit));
}

static Value splat(ImplicitLocOpBuilder &b, Type words, uint32_t value) {
  return arith::ConstantOp::create(b, DenseElementsAttr::get(cast<VectorType>(words), llvm::APInt(32, value)));
}

SmallVector<Value> cpu::piecesOf(ImplicitLocOpBuilder &b, Value numbers, unsigned pieces) {
  auto words = VectorType::get(cast<VectorType>(numbers.getType()).getShape(), b.getI32Type());
  SmallVector<Value> result;
  for (unsigned i = 0; i < pieces; ++i) {
    // Of numbers below 2^-126 something is left in the lower half even of the last.
    Value piece = arith::AndIOp::create(b, arith::BitcastOp::create(b, words, numbers), splat(b, words, 0xFFFF0000));
    result.push_back(piece);
    if (i + 1 < pieces)
      numbers = arith::SubFOp::create(b, numbers, arith::BitcastOp::create(b, numbers.getType(), piece));
  }
  return result;
}

SmallVector<Value> cpu::inPairs(ImplicitLocOpBuilder &b, ArrayRef<Value> even, ArrayRef<Value> odd) {
  SmallVector<Value> result;
  for (auto [x, y] : llvm::zip(even, odd))
    result.push_back(arith::OrIOp::create(b, arith::ShRUIOp::create(b, x, splat(b, x.getType(), 16)), y));
  return result;
}

namespace {
constexpr int64_t lines = Panels::lines, lineBytes = Panels::lineBytes;

class PanelEmitter {
public:
  PanelEmitter(Emitter &e, const Panels &panels) : e(e), s(e.schedule), b(e.builder), panels(panels), nest(s.nest) {
    load = *nest.getBody().front().getOps<LoadOp>().begin();
    words = VectorType::get({lines}, b.getI32Type());
  }

  SmallVector<Launch> run(const std::string &name) {
    e.openFunction(name);
    e.loop(e.begin, e.end, 1, [&](Value unit) {
      AffineExpr along = nest.size(panels.alongSum);
      Value rest = unit, most = e.constant(Panels::blocksOfUnit);
      Value from = e.mul(e.digit(rest, (along + (Panels::blocksOfUnit - 1)).floorDiv(Panels::blocksOfUnit)), most);
      Value to = e.minimum(e.add(from, most), e.evaluate(along));
      e.loop(from, to, 1, [&](Value at) {
        panel = panels.alongSum ? rest : at, step = panels.alongSum ? at : rest;
        Value number = e.add(e.mul(panel, e.evaluate(nest.size(1))), step);
        target = e.elementPointer(e.pointer({Slot::Result, {}, 0, {}}), e.mul(number, e.constant(panels.stepBytes())),
                                  b.getI8Type());
        wholeOrNot();
      });
    });
    e.closeFunction();
    return {{name, s.units, s.cost}};
  }

private:
  /// The dimensions of the nest for one of 32 rows or columns (half of them and the place in it) and one of 32 of the sum.
  SmallVector<Value> dimsAt(Value half, Value line, Value sum) {
    SmallVector<Value> dims{panel, step, e.constant(0)};
    if (!panels.columns) {
      dims.push_back(e.add(e.mul(half, e.constant(lines)), line));
      dims.push_back(sum);
    } else {
      dims.append({half, Value(arith::DivUIOp::create(b, sum, e.constant(2))), line,
                   Value(arith::RemUIOp::create(b, sum, e.constant(2)))});
    }
    return dims;
  }
  ArrayRef<AffineExpr> exprs() { return s.exprs.find(load)->second; }
  ArrayRef<AffineExpr> guards() { return exprs().drop_front(); }

  /// Blocks that have all their numbers are read without masks.
  void wholeOrNot() {
    masked = false;
    if (guards().empty())
      return block();
    Value last = e.constant(lines - 1);
    SmallVector<Value> corner = dimsAt(e.constant(1), last, e.constant(2 * lines - 1));
    Value whole;
    for (AffineExpr guard : guards()) {
      Value holds = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, e.evaluate(guard, corner), e.constant(0));
      whole = whole ? arith::AndIOp::create(b, whole, holds).getResult() : holds;
    }
    auto choose = scf::IfOp::create(b, whole, /*withElse=*/true);
    b.setInsertionPointToStart(choose.thenBlock());
    block();
    b.setInsertionPointToStart(choose.elseBlock());
    masked = true;
    block();
    b.setInsertionPointAfter(choose);
  }

  void block() {
    bool turned = panels.columns == panels.alongSum;
    for (int64_t half : {0, 1}) {
      Value h = e.constant(half);
      if (!turned && panels.alongSum)
        e.loop(e.constant(0), e.constant(lines), 1, [&](Value line) {
          for (auto [piece, value] : llvm::enumerate(alongSum(h, line)))
            put(piece, half, line, value);
        });
      else if (!turned)
        e.loop(e.constant(0), e.constant(lines), 1, [&](Value pair) {
          for (auto [piece, value] : llvm::enumerate(acrossSum(h, pair)))
            put(piece, half, pair, value);
        });
      else
        for (unsigned piece = 0; piece < panels.pieces; ++piece) {
          SmallVector<Value> square;
          for (int64_t i = 0; i < lines; ++i)
            square.push_back((panels.alongSum ? alongSum(h, e.constant(i)) : acrossSum(h, e.constant(i)))[piece]);
          for (auto [i, value] : llvm::enumerate(turnSquare(b, square)))
            put(piece, half, e.constant(int64_t(i)), value);
        }
    }
  }

  void put(unsigned piece, int64_t half, Value line, Value value) {
    Value at = e.add(e.constant(int64_t(piece) * Panels::pieceBytes + half * Panels::tileBytes),
                     e.mul(line, e.constant(lineBytes)));
    e.storeRaw(value, e.elementPointer(target, at, b.getI8Type()), lineBytes);
  }

  /// The pieces of one row's or column's 32 numbers of the sum, as 16 words of two.
  SmallVector<Value> alongSum(Value half, Value line) {
    SmallVector<Value> first = pieces(read(dimsAt(half, line, e.constant(0)), half, line, e.constant(0)));
    SmallVector<Value> second = pieces(read(dimsAt(half, line, e.constant(lines)), half, line, e.constant(lines)));
    SmallVector<int64_t> upper;
    for (int64_t i = 0; i < 2 * lines; ++i)
      upper.push_back(2 * i + 1);
    auto halves = VectorType::get({2 * lines}, b.getI16Type());
    SmallVector<Value> result;
    for (auto [x, y] : llvm::zip(first, second)) {
      Value both = vector::ShuffleOp::create(b, vector::BitCastOp::create(b, halves, x), vector::BitCastOp::create(b, halves, y),
                                             upper);
      result.push_back(vector::BitCastOp::create(b, words, both));
    }
    return result;
  }
  /// The pieces of 16 rows' or columns' numbers for one pair of the sum.
  SmallVector<Value> acrossSum(Value half, Value pair) {
    Value even = e.mul(pair, e.constant(2)), odd = e.add(even, e.constant(1)), none = e.constant(0);
    return inPairs(b, pieces(read(dimsAt(half, none, even), half, none, even)),
                   pieces(read(dimsAt(half, none, odd), half, none, odd)));
  }
  SmallVector<Value> pieces(Value numbers) { return piecesOf(b, numbers, panels.pieces); }

  /// 16 numbers along memory, f32, zeros where a guard fails.
  Value read(ArrayRef<Value> dims, Value half, Value line, Value sum) {
    Type element = load.getType();
    unsigned bytes = element.getIntOrFloatBitWidth() / 8;
    auto type = VectorType::get({lines}, element);
    Value place = e.elementPointer(e.pointer({Slot::Tensor, load.getTensor(), 0, {}}), e.evaluate(exprs()[0], dims), element);
    Value value;
    if (!masked) {
      value = e.load(type, place, bytes);
    } else {
      // How many of the 16 count: a guard that moves along them falls by one each, another holds for all or for none.
      Value count = e.constant(lines), none = e.constant(0);
      SmallVector<Value> next = panels.alongSum ? dimsAt(half, line, e.add(sum, e.constant(2)))
                                                : dimsAt(half, e.add(line, e.constant(1)), sum);
      for (AffineExpr guard : guards()) {
        Value left = e.evaluate(guard, dims), there = e.evaluate(guard, next);
        Value moves = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, left, there);
        Value holds = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, left, none);
        Value most = arith::SelectOp::create(b, moves, e.add(left, e.constant(1)), e.constant(lines));
        count = e.minimum(count, arith::SelectOp::create(b, holds, most, none));
      }
      Value mask = e.maskBelow(count);
      value = LLVM::MaskedLoadOp::create(b, type, place, mask, arith::ConstantOp::create(b, b.getZeroAttr(type)), bytes);
    }
    auto wide = VectorType::get({lines}, b.getF32Type());
    if (element.isF32())
      return value;
    return isa<FloatType>(element) ? arith::ExtFOp::create(b, wide, value).getResult()
                                   : arith::SIToFPOp::create(b, wide, value).getResult();
  }

  Emitter &e;
  const Schedule &s;
  ImplicitLocOpBuilder &b;
  Panels panels;
  NestOp nest;
  LoadOp load;
  VectorType words;
  Value panel, step, target;
  bool masked = false;
};
} // namespace

SmallVector<Launch> cpu::emitPanels(Emitter &emitter, const Panels &panels, const std::string &name) {
  return PanelEmitter(emitter, panels).run(name);
}
