#include "backends/cpu/Block.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

BlockCode::BlockCode(Emitter &e, const Contraction &c)
    : e(e), c(c), b(e.builder), nest(c.s.nest), lanes(e.target.lanes) {
  element = nest.getBody().front().getTerminator()->getOperand(0).getType();
  elementA = partOfWord = LoadOp(c.a).getType(), elementB = LoadOp(c.b).getType();
  if (c.onDots)
    elementA = elementB = b.getI32Type(); // words
  placeA = c.s.exprs.find(LoadOp(c.a))->second[0];
  placeB = c.s.exprs.find(LoadOp(c.b))->second[0];
}

unsigned BlockCode::spread() const {
  auto along = c.reduced.empty() ? std::nullopt : coefficientOf(placeA, c.reduced.back().dim);
  if (!along || constantOf(*along) != 1)
    return 0;
  unsigned lines = unsigned(c.width() * elementB.getIntOrFloatBitWidth() / 8 / 64);
  return std::max(llvm::Log2_32(c.tiles), llvm::Log2_32_Ceil(std::max(1u, lines)));
}

/// The operands may be kept in fewer bits than the sum.
Value BlockCode::widened(LoadOp of, Value value) {
  if (c.onDots)
    return value;
  Type wide = isa<VectorType>(value.getType()) ? e.vectorOf(element) : element;
  if (value.getType() == wide)
    return value;
  if (isa<IntegerType>(element))
    return isUnsigned(of) ? Value(arith::ExtUIOp::create(b, wide, value)) : Value(arith::ExtSIOp::create(b, wide, value));
  if (isa<IntegerType>(getElementTypeOrSelf(value.getType())))
    return arith::SIToFPOp::create(b, wide, value);
  return arith::ExtFOp::create(b, wide, value);
}

SmallVector<Value> BlockCode::zeros(unsigned rows, unsigned vectors) {
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(e.vectorOf(element)));
  return SmallVector<Value>(rows * vectors, zero);
}

void BlockCode::choose(Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise) {
  auto when = scf::IfOp::create(b, condition, /*withElse=*/true);
  b.setInsertionPointToStart(when.thenBlock());
  then();
  b.setInsertionPointToStart(when.elseBlock());
  otherwise();
  b.setInsertionPointAfter(when);
}
Value BlockCode::atMost(Value x, Value y) { return arith::CmpIOp::create(b, arith::CmpIPredicate::sle, x, y); }

void BlockCode::loop(Value from, Value to, int64_t step, llvm::function_ref<void(Value)> body) { e.loop(from, to, step, body); }

Value BlockCode::allocate(int64_t bytes) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(entry);
  return LLVM::AllocaOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), b.getI8Type(), e.constant(bytes), 64);
}
Value BlockCode::loadVector(Value place) { return e.load(e.vectorOf(element), place, element.getIntOrFloatBitWidth() / 8); }

Value BlockCode::accumulatorPlace(Value memory, Value index) {
  int64_t bytes = int64_t(lanes) * element.getIntOrFloatBitWidth() / 8;
  return e.elementPointer(memory, e.mul(index, e.constant(bytes)), b.getI8Type());
}

Value BlockCode::partsOf(const Contraction &of, Value unit, Value split) {
  Value part = e.add(e.mul(split, e.evaluate(of.units)), unit);
  Value at = e.mul(part, e.constant(of.accumulators() * of.accumulatorBytes()));
  return e.elementPointer(e.pointer({Slot::Scratch, {}, 0, {}}), at, b.getI8Type());
}

Value BlockCode::sumOfParts(const Contraction &of, Value unit, Value index) {
  auto over = scf::ForOp::create(b, e.constant(0), e.constant(of.splits), e.constant(1), zeros(1, 1));
  b.setInsertionPointToStart(over.getBody());
  Value part = loadVector(accumulatorPlace(partsOf(of, unit, over.getInductionVar()), index));
  Value before = over.getRegionIterArg(0);
  scf::YieldOp::create(b, isa<IntegerType>(element) ? Value(arith::AddIOp::create(b, before, part)) : Value(arith::AddFOp::create(b, before, part)));
  b.setInsertionPointAfter(over);
  return over.getResult(0);
}

void BlockCode::forUnits(const std::string &name, unsigned splits, llvm::function_ref<void(Unit)> each) {
  LLVM::LLVMFuncOp function = e.openFunction(name);
  entry = &function.getBody().front();
  if (c.onTiles)
    configureTiles();
  auto over = scf::ForOp::create(b, e.begin, e.end, e.constant(1));
  b.setInsertionPointToStart(over.getBody());
  Unit unit;
  unit.dims.assign(nest.dims(), Value());
  Value rest = over.getInductionVar();
  if (splits > 1) {
    // Parts outermost: all blocks pass over one part of the operands before the next.
    Value units = e.evaluate(c.units);
    unit.split = arith::DivUIOp::create(b, rest, units);
    rest = arith::RemUIOp::create(b, rest, units);
    Value size = e.evaluate(c.reduced.front().size);
    Value length = arith::CeilDivUIOp::create(b, size, e.constant(splits));
    unit.from = e.minimum(e.mul(unit.split, length), size);
    unit.to = e.minimum(e.add(unit.from, length), size);
  }
  unit.number = rest;
  auto digit = [&](AffineExpr count, bool last) -> Value {
    if (constantOf(count) == 1)
      return e.constant(0);
    return last ? rest : e.digit(rest, count);
  };
  unit.inner = digit(c.inner, c.outer.empty());
  for (size_t i = c.outer.size(); i-- > 0;)
    unit.dims[c.outer[i].dim] = digit(c.outer[i].size, i == 0);
  each(unit);
  b.setInsertionPointAfter(over);
  if (c.onTiles)
    tileOp("llvm.x86.tilerelease", {});
  e.closeFunction();
}

std::pair<Value, Value> BlockCode::blocksOf(const Unit &unit) {
  auto rows = constantOf(c.rowBlocks()), columns = constantOf(c.columnBlocks());
  if (columns == 1)
    return {unit.inner, e.constant(0)};
  if (rows == 1)
    return {e.constant(0), unit.inner};
  auto columnsInside = [&]() -> std::pair<Value, Value> {
    Value blocks = e.evaluate(c.columnBlocks());
    return {arith::DivUIOp::create(b, unit.inner, blocks), arith::RemUIOp::create(b, unit.inner, blocks)};
  };
  auto rowsInside = [&]() -> std::pair<Value, Value> {
    Value blocks = e.evaluate(c.rowBlocks());
    return {arith::RemUIOp::create(b, unit.inner, blocks), arith::DivUIOp::create(b, unit.inner, blocks)};
  };
  auto elements = [&](LoadOp load) {
    AffineExpr count = getAffineConstantExpr(1, b.getContext());
    for (AffineExpr size : sizesOf(load.getTensor().getType()))
      count = count * size;
    return canonical(count);
  };
  AffineExpr ofA = elements(c.a), ofB = elements(c.b);
  if (auto a = constantOf(ofA), b = constantOf(ofB); a && b)
    return *a > *b ? columnsInside() : rowsInside();
  Value larger = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, e.evaluate(ofA), e.evaluate(ofB));
  auto inside = columnsInside(), outside = rowsInside();
  return {arith::SelectOp::create(b, larger, inside.first, outside.first),
          arith::SelectOp::create(b, larger, inside.second, outside.second)};
}

void BlockCode::configureTiles() {
  // Palette 1, then the bytes of a row, 16 bits each from byte 16 on, and the rows, 8 bits each from byte 48 on.
  constexpr uint64_t words[8] = {1, 0, 0x0040004000400040, 0x0040004000400040, 0, 0, 0x1010101010101010, 0};
  Value shape = LLVM::AllocaOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), b.getI8Type(), e.constant(64), 64);
  for (auto [i, word] : llvm::enumerate(words))
    e.storeRaw(e.constant(int64_t(word)), e.elementPointer(shape, e.constant(int64_t(i)), b.getI64Type()), 8);
  tileOp("llvm.x86.ldtilecfg", {}, {shape});
}

void BlockCode::tileOp(StringRef name, ArrayRef<int> registers, ArrayRef<Value> operands) {
  SmallVector<Value> all;
  for (int number : registers)
    all.push_back(LLVM::ConstantOp::create(b, b.getI8Type(), b.getI8IntegerAttr(int8_t(number))));
  all.append(operands.begin(), operands.end());
  LLVM::CallIntrinsicOp::create(b, b.getStringAttr(name), all);
}

void BlockCode::byColumns(Value begin, llvm::function_ref<void(const Columns &)> each) {
  Columns full{begin, c.vectors, SmallVector<Value>(c.vectors)};
  int64_t width = c.width();
  auto known = constantOf(c.vectorSize);
  if (known && *known % width == 0)
    return each(full);
  Value size = e.evaluate(c.vectorSize);
  auto edge = [&] {
    Columns columns = full;
    if (known)
      columns.vectors = (*known % width + lanes - 1) / lanes, columns.last = *known % lanes;
    for (unsigned j = 0; j < columns.vectors; ++j) {
      Value first = e.add(begin, e.constant(int64_t(j) * lanes));
      bool whole = known && *known % width >= int64_t(j + 1) * lanes;
      columns.masks[j] = whole ? Value() : e.maskBelow(e.sub(size, first));
    }
    each(columns);
  };
  if (known && *known < width)
    return edge();
  choose(atMost(e.add(begin, e.constant(width)), size), [&] { each(full); }, edge);
}

Value BlockCode::advance(Value base, AffineExpr place, unsigned dim, Value index, Type inMemory) {
  return e.elementPointer(base, e.mul(index, e.evaluate(*coefficientOf(place, dim))), inMemory);
}

SmallVector<Value> BlockCode::reduce(size_t depth, const Columns &columns, Value a, Value bPlace,
                                     ArrayRef<Value> rowOffsets, SmallVector<Value> sums, Value from, Value to) {
  if (depth + c.window == c.reduced.size())
    return step(columns, a, bPlace, rowOffsets, sums);
  const Loop &reduced = c.reduced[depth];
  from = from ? from : e.constant(0), to = to ? to : e.evaluate(reduced.size);
  auto advanced = [&](Value index, ArrayRef<Value> before) {
    return reduce(depth + 1, columns, advance(a, placeA, reduced.dim, index, elementA),
                  advance(bPlace, placeB, reduced.dim, index, elementB), rowOffsets, SmallVector<Value>(before));
  };
  auto over = [&](Value first, Value last, int64_t step, ArrayRef<Value> before,
                  llvm::function_ref<SmallVector<Value>(Value, SmallVector<Value>)> body) {
    auto loop = scf::ForOp::create(b, first, last, e.constant(step), before);
    b.setInsertionPointToStart(loop.getBody());
    scf::YieldOp::create(b, body(loop.getInductionVar(), SmallVector<Value>(loop.getRegionIterArgs())));
    b.setInsertionPointAfter(loop);
    return SmallVector<Value>(loop.getResults());
  };
  size_t block = rowOffsets.size() * columns.vectors, chains = sums.size() / block;
  // No two steps in one body otherwise: LLVM moves the loads of both to its front, and accumulators to the stack.
  if (chains == 1 || depth + 1 < c.reduced.size())
    return over(from, to, 1, sums, [&](Value index, SmallVector<Value> before) { return advanced(index, before); });
  Value whole = e.mul(arith::DivUIOp::create(b, e.sub(to, from), e.constant(int64_t(chains))), e.constant(int64_t(chains)));
  Value rest = e.add(from, whole);
  sums = over(from, rest, int64_t(chains), sums, [&](Value index, SmallVector<Value> before) {
    askFarther(advance(bPlace, placeB, reduced.dim, index, elementB), chains);
    SmallVector<Value> after;
    for (size_t chain = 0; chain < chains; ++chain)
      after.append(advanced(e.add(index, e.constant(int64_t(chain))), ArrayRef(before).slice(chain * block, block)));
    return after;
  });
  SmallVector<Value> first = over(rest, to, 1, ArrayRef(sums).take_front(block),
                                  [&](Value index, SmallVector<Value> before) { return advanced(index, before); });
  llvm::copy(first, sums.begin());
  return sums;
}

unsigned BlockCode::chainsOf(unsigned accumulators) const {
  auto innermost = c.reduced.empty() ? std::optional<int64_t>(1) : constantOf(c.reduced.back().size);
  unsigned chains = accumulators >= busyAccumulators ? 1 : 1u << llvm::Log2_32(busyAccumulators / accumulators);
  return innermost && *innermost < 4 * int64_t(chains) ? 1 : chains;
}

SmallVector<Value> BlockCode::joinChains(SmallVector<Value> sums, unsigned chains) {
  for (size_t half = sums.size() / 2; chains > 1; chains /= 2, half /= 2) {
    for (size_t i = 0; i < half; ++i)
      sums[i] = isa<IntegerType>(element) ? Value(arith::AddIOp::create(b, sums[i], sums[half + i]))
                                          : Value(arith::AddFOp::create(b, sums[i], sums[half + i]));
    sums.truncate(half);
  }
  return sums;
}

void BlockCode::askFarther(Value place, unsigned steps) {
  if (!c.packed)
    return;
  int64_t bytes = int64_t(steps) * c.width() * elementB.getIntOrFloatBitWidth() / 8;
  for (int64_t line = 0; line < bytes; line += 64)
    LLVM::Prefetch::create(b, e.elementPointer(place, e.constant(farther + line), b.getI8Type()), /*rw=*/0, /*hint=*/3, /*cache=*/1);
}

bool BlockCode::multipliesBytes() {
  return e.target.bytes && partOfWord.isInteger(8) && isUnsigned(c.a) != isUnsigned(c.b);
}

BlockCode::Word BlockCode::wordOf(LoadOp of, Value value) {
  if (partOfWord.isBF16())
    return {LLVM::BitcastOp::create(b, VectorType::get({2 * int64_t(lanes)}, b.getBF16Type()), value)};
  if (multipliesBytes())
    return {LLVM::BitcastOp::create(b, VectorType::get({4 * int64_t(lanes)}, b.getI8Type()), value)};
  Type pairs = VectorType::get({2 * int64_t(lanes)}, b.getI16Type());
  if (partOfWord.isInteger(16))
    return {LLVM::BitcastOp::create(b, pairs, value)};
  // Elsewhere the even and the odd bytes of a word are two pairs of i16.
  auto eight = [&](Type type) { return arith::ConstantOp::create(b, DenseElementsAttr::get(cast<ShapedType>(type), b.getIntegerAttr(getElementTypeOrSelf(type), 8))); };
  Value all = LLVM::BitcastOp::create(b, pairs, value);
  if (isUnsigned(of)) {
    Value low = arith::ConstantOp::create(b, DenseElementsAttr::get(cast<ShapedType>(pairs), b.getI16IntegerAttr(0xff)));
    return {arith::AndIOp::create(b, all, low), arith::ShRUIOp::create(b, all, eight(pairs))};
  }
  Value high = arith::ShLIOp::create(b, all, eight(pairs));
  return {arith::ShRSIOp::create(b, high, eight(pairs)), arith::ShRSIOp::create(b, all, eight(pairs))};
}

Value BlockCode::addWords(Value sum, const Word &x, const Word &y) {
  auto intrinsic = [&](StringRef name, ValueRange operands) {
    return LLVM::CallIntrinsicOp::create(b, sum.getType(), b.getStringAttr(name), operands).getResult(0);
  };
  if (partOfWord.isBF16())
    return intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", {sum, x[0], y[0]});
  if (multipliesBytes()) { // the first factor counts as u8
    bool turned = isUnsigned(c.b);
    return intrinsic(lanes == 16 ? "llvm.x86.avx512.vpdpbusd.512" : "llvm.x86.avx512.vpdpbusd.256",
                     {sum, turned ? y[0] : x[0], turned ? x[0] : y[0]});
  }
  StringRef name = lanes == 16 ? "llvm.x86.avx512.pmaddw.d.512" : lanes == 8 ? "llvm.x86.avx2.pmadd.wd" : "llvm.x86.sse2.pmadd.wd";
  for (auto [left, right] : llvm::zip(x, y))
    sum = arith::AddIOp::create(b, sum, intrinsic(name, {left, right}));
  return sum;
}

SmallVector<Value> BlockCode::loadVectors(LoadOp of, const Columns &columns, Value base, bool padded) {
  SmallVector<Value> vectors;
  Type inMemory = of == c.a ? elementA : elementB;
  unsigned bytes = inMemory.getIntOrFloatBitWidth() / 8;
  for (unsigned j = 0; j < columns.vectors; ++j) {
    Value at = e.elementPointer(base, e.constant(int64_t(j) * lanes), inMemory);
    Type type = e.vectorOf(inMemory);
    if (columns.masks[j] && !padded) {
      Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
      vectors.push_back(LLVM::MaskedLoadOp::create(b, type, at, columns.masks[j], zero, bytes));
    } else {
      vectors.push_back(e.load(type, at, bytes));
    }
    vectors.back() = widened(of, vectors.back());
  }
  return vectors;
}

SmallVector<Value> BlockCode::step(const Columns &columns, Value a, Value bPlace, ArrayRef<Value> rowOffsets,
                                   ArrayRef<Value> sums) {
  SmallVector<Value> vectors = loadVectors(c.b, columns, bPlace, c.packed), result; // panels end in zeros
  SmallVector<Word> words;
  if (c.onDots)
    for (Value vector : vectors)
      words.push_back(wordOf(c.b, vector));
  if (ahead) {
    Value at = LLVM::PtrToIntOp::create(b, b.getI64Type(), bPlace);
    at = e.add(arith::ShRUIOp::create(b, at, e.constant(spread())), ahead);
    LLVM::Prefetch::create(b, LLVM::IntToPtrOp::create(b, bPlace.getType(), at), /*rw=*/0, /*hint=*/2, /*cache=*/1);
  }
  for (auto [i, offset] : llvm::enumerate(rowOffsets)) {
    Value row = e.elementPointer(a, offset, elementA);
    SmallVector<Value> factors =
        c.vectorsOfA ? loadVectors(c.a, columns, row) : SmallVector<Value>(columns.vectors);
    if (!c.vectorsOfA)
      llvm::fill(factors, e.splat(widened(c.a, e.load(elementA, row, elementA.getIntOrFloatBitWidth() / 8))));
    Word word = c.onDots ? wordOf(c.a, factors[0]) : Word();
    for (unsigned j = 0; j < columns.vectors; ++j) {
      Value sum = sums[i * columns.vectors + j];
      result.push_back(c.onDots ? addWords(sum, word, words[j]) : addProduct(sum, factors[j], vectors[j]));
    }
  }
  return result;
}

Value BlockCode::addProduct(Value sum, Value x, Value y) {
  if (isa<IntegerType>(element))
    return arith::AddIOp::create(b, sum, arith::MulIOp::create(b, x, y));
  return LLVM::FMulAddOp::create(b, sum.getType(), x, y, sum);
}

void BlockCode::store(ArrayRef<Value> dims, const Columns &columns, unsigned j, Value sum) {
  Point point;
  point.dims.assign(dims.begin(), dims.end());
  point.vectorDim = c.vectorDim;
  point.dims[c.vectorDim] = e.add(columns.begin, e.constant(int64_t(j) * lanes));
  point.mask = columns.masks[j], point.count = columns.masks[j] ? columns.last : 0;
  SmallVector<Value> values = e.emitBlock(nest.getFinish().front(), point, sum);
  for (auto [i, value] : llvm::enumerate(values))
    e.store(i, value, point);
}
