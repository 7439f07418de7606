// Padding, and rows of tables.
#include "backends/onnx/Emitter.h"

namespace mlir::bigm::to_onnx {

Name Emitter::pad(PadOp op) {
  Name x = full(op.getX()), value = full(op.getValue());
  Sizes sizes = sizesOf(op.getX().getType());
  unsigned rank = sizes.size();
  MLIRContext *context = op.getContext();
  auto constant = [&](int64_t n) { return getAffineConstantExpr(n, context); };
  auto padded = [&](const Name &of, SmallVector<int64_t> low, ArrayRef<int64_t> high) {
    low.append(high.begin(), high.end());
    return s.add("Pad", {of, s.ints(low), value});
  };
  // Between the elements: each gets a row of its own that is filled behind it, and behind the last nothing is kept.
  for (unsigned d = 0; d < rank; ++d) {
    int64_t between = op.getInterior()[d];
    if (!between)
      continue;
    SmallVector<int64_t> none(rank + 1, 0), behind(rank + 1, 0);
    behind[d + 1] = between;
    Sizes apart = sizes, joined = sizes;
    apart.insert(apart.begin() + d + 1, constant(between + 1));
    joined[d] = canonical(sizes[d] * (between + 1));
    x = s.reshape(padded(s.unsqueeze(x, {int64_t(d) + 1}), none, behind), apart, joined);
    x = s.add("Slice", {x, s.ints({0}), s.ints({-between}), s.ints({int64_t(d)})});
    sizes[d] = canonical(joined[d] - between);
  }
  SmallVector<int64_t> low, high, starts, ends, axes;
  for (unsigned d = 0; d < rank; ++d) {
    int64_t a = op.getLow()[d], b = op.getHigh()[d];
    low.push_back(std::max<int64_t>(a, 0));
    high.push_back(std::max<int64_t>(b, 0));
    if (a < 0 || b < 0) {
      axes.push_back(d);
      starts.push_back(std::max<int64_t>(-a, 0));
      ends.push_back(b < 0 ? b : INT64_MAX);
    }
  }
  auto some = [](ArrayRef<int64_t> all) { return llvm::any_of(all, [](int64_t n) { return n != 0; }); };
  if (some(low) || some(high))
    x = padded(x, low, high);
  return axes.empty() ? x : s.add("Slice", {x, s.ints(starts), s.ints(ends), s.ints(axes)});
}

Name Emitter::gather(GatherOp op) {
  Name ids = full(op.getIds());
  if (elementOf(op.getIds()).isInteger(8))
    ids = s.cast(ids, IntegerType::get(op.getContext(), 32));
  return s.add("Gather", {full(op.getTable()), ids}, {{"axis", int64_t(0)}});
}

Name Emitter::scatter(ScatterAddOp op) {
  Type element = elementOf(op);
  int64_t rank = cast<RankedTensorType>(op.getIds().getType()).getRank();
  Name ids = s.unsqueeze(full(op.getIds()), {rank});
  if (!elementOf(op.getIds()).isInteger(64))
    ids = s.cast(ids, IntegerType::get(op.getContext(), 64));
  Name zeros = s.expand(s.scalar(computed(element), 0), sizesOf(op.getType()));
  Name sums = s.add("ScatterND", {zeros, ids, computed(full(op.getUpdates()), element)}, {{"reduction", std::string("add")}});
  return stored(sums, element);
}

} // namespace mlir::bigm::to_onnx
