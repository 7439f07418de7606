// Views: result[d] = x[map(d)]. Each dimension of x is taken whole, cut, cut into windows or read at one place; then what is
// left is put in order, and what the map does not use is added. A map that uses a dimension twice (a diagonal) reads at
// computed positions.
#include "backends/onnx/Emitter.h"

namespace mlir::bigm::to_onnx {

namespace {
SmallVector<unsigned> usedBy(const Linear &index) {
  SmallVector<unsigned> used;
  for (auto [d, coefficient] : llvm::enumerate(index.coefficients))
    if (coefficient)
      used.push_back(d);
  return used;
}
std::optional<int64_t> numberOf(AffineExpr size) {
  auto number = dyn_cast<AffineConstantExpr>(size);
  return number ? std::optional(number.getValue()) : std::nullopt;
}
} // namespace

Name Emitter::read(Name x, ArrayRef<AffineExpr> sizes, ArrayRef<Linear> indices, ArrayRef<unsigned> wanted,
                   ArrayRef<AffineExpr> iteration) {
  SmallVector<SmallVector<unsigned>> axes; // what each dimension of x becomes
  SmallVector<unsigned> uses(iteration.size(), 0);
  for (const Linear &index : indices)
    for (unsigned d : axes.emplace_back(usedBy(index)))
      ++uses[d];
  if (llvm::any_of(uses, [](unsigned n) { return n > 1; }))
    return readAnywhere(x, sizes, indices, wanted, iteration);

  // One operator cuts all dimensions that are cut.
  std::vector<Name> starts, ends;
  SmallVector<int64_t> cut, steps;
  for (auto [k, index] : llvm::enumerate(indices)) {
    if (axes[k].size() > 1)
      continue;
    int64_t step = axes[k].empty() ? 1 : index.coefficients[axes[k][0]];
    AffineExpr count = axes[k].empty() ? getAffineConstantExpr(1, function.getContext()) : iteration[axes[k][0]];
    if (step == 1 && index.offset == 0 && count == sizes[k])
      continue;
    cut.push_back(k);
    steps.push_back(step);
    starts.push_back(s.ints({index.offset}));
    AffineExpr last = canonical((count - 1) * step + index.offset);
    if (step < 0) {
      auto number = numberOf(last);
      if (!number)
        throw NoForm{"a dimension of unknown size, read backwards from a fixed place"};
      ends.push_back(s.ints({*number == 0 ? INT64_MIN + 1 : *number - 1}));
      continue;
    }
    auto rest = constantDifference(sizes[k], canonical(last + 1));
    bool toTheEnd = rest && *rest >= 0 && *rest < step;
    ends.push_back(toTheEnd ? s.ints({INT64_MAX}) : s.dim(canonical(last + 1)));
  }
  if (!cut.empty()) {
    auto all = [&](const std::vector<Name> &parts) {
      return parts.size() == 1 ? parts[0] : s.add("Concat", parts, {{"axis", int64_t(0)}});
    };
    std::vector<Name> in = {x, all(starts), all(ends), s.ints(cut)};
    if (llvm::any_of(steps, [](int64_t step) { return step != 1; }))
      in.push_back(s.ints(steps));
    x = s.add("Slice", in);
  }
  // Windows: rows of places, from the last dimension to the first, so that those before keep their numbers.
  for (int64_t k = int64_t(axes.size()) - 1; k >= 0; --k)
    if (axes[k].size() > 1) {
      AffineExpr one = getAffineConstantExpr(1, function.getContext());
      x = s.add("Gather", {x, positions({one}, {indices[k]}, axes[k], iteration)}, {{"axis", k}});
    }
  SmallVector<unsigned> left;
  SmallVector<int64_t> single, order;
  for (auto &axis : axes) {
    if (axis.empty())
      single.push_back(&axis - axes.begin());
    left.append(axis.begin(), axis.end());
  }
  // Windows before it move the places of those that are read at one place.
  for (int64_t &at : single)
    for (int64_t k = 0, end = at; k < end; ++k)
      at += axes[k].size() > 1 ? int64_t(axes[k].size()) - 1 : 0;
  x = s.squeeze(x, single);
  for (unsigned d : wanted)
    order.push_back(llvm::find(left, d) - left.begin());
  return s.transpose(x, order);
}

Name Emitter::positions(ArrayRef<AffineExpr> sizes, ArrayRef<Linear> indices, ArrayRef<unsigned> wanted,
                        ArrayRef<AffineExpr> iteration) {
  MLIRContext *context = function.getContext();
  AffineExpr offset = getAffineConstantExpr(0, context), stride = getAffineConstantExpr(1, context);
  SmallVector<AffineExpr> steps(wanted.size(), offset);
  for (int64_t k = int64_t(indices.size()) - 1; k >= 0; --k) {
    offset = offset + stride * indices[k].offset;
    for (auto [i, d] : llvm::enumerate(wanted))
      steps[i] = steps[i] + stride * indices[k].coefficients[d];
    stride = canonical(stride * sizes[k]);
  }
  // Known ones are a table.
  int64_t count = 1;
  SmallVector<int64_t> shape, known;
  bool allKnown = numberOf(canonical(offset)).has_value();
  for (auto [i, d] : llvm::enumerate(wanted)) {
    auto size = numberOf(iteration[d]), step = numberOf(canonical(steps[i]));
    allKnown &= size && step;
    shape.push_back(size.value_or(1));
    known.push_back(step.value_or(0));
    count = allKnown && count <= (1 << 20) ? count * shape.back() : count;
  }
  if (allKnown && count <= (1 << 20)) {
    SmallVector<int64_t> table;
    for (int64_t n = 0; n < count; ++n) {
      int64_t position = *numberOf(canonical(offset)), rest = n;
      for (int64_t i = int64_t(shape.size()) - 1; i >= 0; rest /= shape[i--])
        position += rest % shape[i] * known[i];
      table.push_back(position);
    }
    return s.ints(table, shape);
  }
  Name sum = s.dimScalar(canonical(offset));
  for (auto [i, d] : llvm::enumerate(wanted)) {
    AffineExpr step = canonical(steps[i]);
    Name range = s.iota(iteration[d], i, wanted.size());
    if (step != getAffineConstantExpr(1, context))
      range = s.add("Mul", {range, s.dimScalar(step)});
    sum = s.add("Add", {sum, range});
  }
  return sum;
}

Name Emitter::readAnywhere(Name x, ArrayRef<AffineExpr> sizes, ArrayRef<Linear> indices, ArrayRef<unsigned> wanted,
                           ArrayRef<AffineExpr> iteration) {
  Name flat = sizes.size() == 1 ? x : s.add("Reshape", {x, s.ints({-1})});
  return s.add("Gather", {flat, positions(sizes, indices, wanted, iteration)}, {{"axis", int64_t(0)}});
}

Name Emitter::view(ViewOp op, bool stretch) {
  Sizes iteration = sizesOf(op.getType());
  SmallVector<Linear> indices = *linear(op.getMap());
  SmallVector<bool> used(iteration.size(), false);
  for (const Linear &index : indices)
    for (unsigned d : usedBy(index))
      used[d] = true;
  SmallVector<unsigned> wanted;
  SmallVector<int64_t> missing;
  for (auto [d, is] : llvm::enumerate(used)) {
    if (is)
      wanted.push_back(d);
    else
      missing.push_back(d);
  }
  Name x = read(full(op.getX()), sizesOf(op.getX().getType()), indices, wanted, iteration);
  if (missing.empty())
    return x;
  // Dimensions in front need not be there to be stretched.
  SmallVector<int64_t> inserted;
  int64_t first = wanted.empty() ? int64_t(iteration.size()) : wanted[0];
  for (int64_t d : missing)
    if (d > first)
      inserted.push_back(d - first);
  x = s.unsqueeze(x, inserted);
  return stretch ? x : s.expand(x, iteration);
}

// result[map(d)] += x[d]: into zeros at computed positions.
Name Emitter::fold(FoldOp op) {
  Sizes iteration = sizesOf(op.getX().getType()), sizes = sizesOf(op.getType());
  Type element = elementOf(op);
  MLIRContext *context = op.getContext();
  SmallVector<unsigned> all = llvm::to_vector(llvm::seq<unsigned>(0, iteration.size()));
  Name at = positions(sizes, *linear(op.getMap()), all, iteration);
  Name flatAt = s.add("Reshape", {s.expand(at, iteration), s.ints({-1, 1})});
  Name flat = s.add("Reshape", {computed(full(op.getX()), element), s.ints({-1})});
  AffineExpr count = countOf(sizes, context);
  Name zeros = s.expand(s.scalar(computed(element), 0), {count});
  Name sums = s.add("ScatterND", {zeros, flatAt, flat}, {{"reduction", std::string("add")}});
  return stored(s.reshape(sums, {count}, sizes), element);
}

} // namespace mlir::bigm::to_onnx
