// Contractions: result[d] = sum over r of lhs[lhsMap(d, r)] * rhs[rhsMap(d, r)]. Where one factor is read in windows it is a
// convolution; every other one is a matrix product of factors whose dimensions are put in order.
#include "backends/onnx/Emitter.h"

namespace mlir::bigm::to_onnx {

namespace {
bool uses(ArrayRef<Linear> indices, unsigned d) {
  return llvm::any_of(indices, [d](const Linear &index) { return index.coefficients[d] != 0; });
}
} // namespace

Name Emitter::contract(ContractOp op) {
  Type element = elementOf(op);
  SmallVector<Linear> lhs = *linear(op.getLhsMap()), rhs = *linear(op.getRhsMap());
  if (isa<FloatType>(element))
    for (bool swapped : {false, true}) {
      Value image = swapped ? op.getRhs() : op.getLhs(), weight = swapped ? op.getLhs() : op.getRhs();
      Name y = convolution(op, image, weight, swapped ? rhs : lhs, swapped ? lhs : rhs);
      if (!y.empty())
        return y;
    }
  return product(op);
}

Name Emitter::product(ContractOp op) {
  Type element = elementOf(op);
  MLIRContext *context = op.getContext();
  unsigned rank = cast<RankedTensorType>(op.getType()).getRank();
  Sizes iteration = op.iterationSizes();
  Value left = op.getLhs(), right = op.getRhs();
  SmallVector<Linear> lhs = *linear(op.getLhsMap()), rhs = *linear(op.getRhsMap());

  // The factor whose own dimensions come first in the result is the left one.
  auto firstOf = [&](ArrayRef<Linear> a, ArrayRef<Linear> b) {
    for (unsigned d = 0; d < rank; ++d)
      if (uses(a, d) && !uses(b, d))
        return d;
    return rank;
  };
  if (firstOf(rhs, lhs) < firstOf(lhs, rhs)) {
    std::swap(left, right);
    std::swap(lhs, rhs);
  }
  SmallVector<unsigned> batch, rows, columns, inner, onlyLeft, onlyRight, result;
  Sizes repeats;
  for (unsigned d = 0; d < iteration.size(); ++d) {
    bool l = uses(lhs, d), r = uses(rhs, d);
    if (d < rank)
      (l && r ? batch : l ? rows : r ? columns : result).push_back(d); // `result`: those of neither, taken out below
    else if (l || r)
      (l && r ? inner : l ? onlyLeft : onlyRight).push_back(d);
    else
      repeats.push_back(iteration[d]);
  }
  SmallVector<unsigned> neither = std::exchange(result, {});
  auto sizes = [&](ArrayRef<unsigned> dims) {
    Sizes all;
    for (unsigned d : dims)
      all.push_back(iteration[d]);
    return all;
  };
  auto join = [](std::initializer_list<ArrayRef<unsigned>> parts) {
    SmallVector<unsigned> all;
    for (ArrayRef<unsigned> part : parts)
      all.append(part.begin(), part.end());
    return all;
  };
  // A factor with its dimensions in order, and what only it has summed away.
  auto factor = [&](Value v, ArrayRef<Linear> indices, ArrayRef<unsigned> kept, ArrayRef<unsigned> own) {
    Name x = read(full(v), sizesOf(v.getType()), indices, join({kept, own}), iteration);
    SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(kept.size(), kept.size() + own.size()));
    return s.reduce("ReduceSum", computed(x, element), axes);
  };
  auto plain = [&](Value v, ArrayRef<Linear> indices, ArrayRef<unsigned> dims) {
    bool same = indices.size() == dims.size();
    for (unsigned i = 0; same && i < dims.size(); ++i)
      same = indices[i].asDim() == dims[i] && sizesOf(v.getType())[i] == iteration[dims[i]];
    return same;
  };
  Name y;
  SmallVector<unsigned> order = join({batch, rows, columns});
  if (inner.empty()) { // an outer product
    Name a = factor(left, lhs, join({batch, rows}), onlyLeft), b = factor(right, rhs, join({batch, columns}), onlyRight);
    auto behind = llvm::to_vector(llvm::seq<int64_t>(batch.size() + rows.size(), order.size()));
    auto between = llvm::to_vector(llvm::seq<int64_t>(batch.size(), batch.size() + rows.size()));
    y = s.add("Mul", {s.unsqueeze(a, behind), s.unsqueeze(b, between)});
  } else if (batch.empty() && rows.size() == 1 && columns.size() == 1 && inner.size() == 1 && onlyRight.empty() &&
             onlyLeft.empty() && isa<FloatType>(element) && plain(left, lhs, {rows[0], inner[0]}) &&
             plain(right, rhs, {columns[0], inner[0]})) {
    y = s.add("Gemm", {computed(full(left), element), computed(full(right), element)}, {{"transB", int64_t(1)}});
  } else {
    Name a = factor(left, lhs, join({batch, rows, inner}), onlyLeft), b = factor(right, rhs, join({batch, inner, columns}), onlyRight);
    AffineExpr m = countOf(sizes(rows), context), n = countOf(sizes(columns), context), k = countOf(sizes(inner), context);
    auto with = [&](std::initializer_list<AffineExpr> two) {
      Sizes all = sizes(batch);
      all.append(two);
      return all;
    };
    // Several rows may stay apart where the right factor is one matrix.
    bool apart = batch.empty() && columns.size() == 1 && inner.size() == 1 && rows.size() > 1;
    if (!apart)
      a = s.reshape(a, sizes(join({batch, rows, inner})), with({m, k}));
    b = s.reshape(b, sizes(join({batch, inner, columns})), with({k, n}));
    y = s.add("MatMul", {a, b});
    if (!apart)
      y = s.reshape(y, with({m, n}), sizes(order));
  }
  for (AffineExpr size : repeats)
    if (size != getAffineConstantExpr(1, context))
      y = s.add("Mul", {y, isa<IntegerType>(computed(element)) && computed(element).isInteger(64)
                               ? s.dimScalar(size)
                               : s.cast(s.dimScalar(size), computed(element))});
  // The result's dimensions in their order.
  SmallVector<unsigned> sorted = order;
  llvm::sort(sorted);
  SmallVector<int64_t> moves;
  for (unsigned d : sorted)
    moves.push_back(llvm::find(order, d) - order.begin());
  y = stored(s.transpose(y, moves), element);
  if (neither.empty())
    return y;
  y = s.unsqueeze(y, llvm::to_vector(llvm::map_range(neither, [](unsigned d) { return int64_t(d); })));
  return s.expand(y, sizesOf(op.getType()));
}

} // namespace mlir::bigm::to_onnx
