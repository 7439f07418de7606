// Gradients of the ops on pictures, in ops that have gradients themselves.
//
// A resize is a product on both sides, rows * picture * columns, with tables of weights that sizes alone decide; its
// adjoint is the product with the tables turned around. The tables are dense here, so it costs as much as a product of
// matrices of these sizes.
//
// A warp reads four pixels of the picture for each of the result; its adjoint adds to them, and their differences say how
// the result changes with the place, and so with the matrix (Jaderberg et al. 2015, Spatial transformer networks, eq. 6-7).
#include "ir/Bigm.h"
#include "ir/Formula.h"

using namespace mlir;
using namespace mlir::bigm;
using formula::Tensor;

namespace {

/// Tensors of one space (sizes over the function's symbols), in numbers of the picture's type.
class Space {
public:
  Space(OpBuilder &b, Location loc, ArrayRef<AffineExpr> sizes, unsigned symbols, Type element)
      : b(b), loc(loc), sizes(sizes), symbols(symbols), type(tensorType(sizes, symbols, element)) {}

  Tensor number(double n) const { return of(constant(b, loc, type, n)); }
  /// The place along a dimension.
  Tensor place(unsigned dim) const { return of(IotaOp::create(b, loc, type, dim)); }
  Tensor number(AffineExpr size) const {
    if (auto known = dyn_cast<AffineConstantExpr>(canonical(size)))
      return number(double(known.getValue()));
    Value one = SizeOp::create(b, loc, RankedTensorType::get({}, type.getElementType()), AffineMap::get(0, symbols, size));
    return of(buildBroadcast(b, loc, one, llvm::to_vector(llvm::seq<int64_t>(0, type.getRank())), type));
  }
  /// `x` at the places of a map from this space.
  Tensor read(Value x, ArrayRef<AffineExpr> at) const {
    auto viewed = withElement(type, cast<RankedTensorType>(x.getType()).getElementType());
    return of(ViewOp::create(b, loc, viewed, x, AffineMap::get(sizes.size(), 0, at, b.getContext())));
  }
  Tensor of(Value x) const { return formula::tensor(b, loc, x); }
  Tensor max(Tensor x, Tensor y) const { return of(MaxOp::create(b, loc, x.value, y.value)); }
  Tensor min(Tensor x, Tensor y) const { return of(MinOp::create(b, loc, x.value, y.value)); }
  Tensor floor(Tensor x) const { return of(FloorOp::create(b, loc, x.value)); }
  Tensor abs(Tensor x) const { return of(AbsOp::create(b, loc, x.value)); }
  /// 1 where the condition holds, else 0.
  Tensor mark(Tensor condition) const { return select(condition, number(1.0), number(0.0)); }
  /// Within [low, high]; what is no number becomes `low`.
  Tensor between(Tensor x, Tensor low, Tensor high) const { return select(x < high, select(x > low, x, low), select(x > low, high, low)); }

  OpBuilder &b;
  Location loc;
  SmallVector<AffineExpr> sizes;
  unsigned symbols;
  RankedTensorType type;
};

/// Keys' kernel (Cubic convolution interpolation for digital image processing, 1981).
Tensor cubic(const Space &s, Tensor x, double a) {
  x = s.abs(x);
  Tensor near = (x * (a + 2) - (a + 3)) * x * x + 1, far = ((x - 5) * x + 8) * x * a - 4 * a;
  return select(x < s.number(1.0), near, select(x < s.number(2.0), far, s.number(0.0)));
}

/// weight[o, i] of pixel i of a row of `in` for pixel o of one of `out`: what runtime/include/bigm/kernels.h says of a resize.
Value resizeTable(ResizeOp op, OpBuilder &b, AffineExpr in, AffineExpr out) {
  unsigned symbols = std::max(symbolCount(op.getImage().getType()), symbolCount(op.getType()));
  Space s(b, op.getLoc(), {out, in}, symbols, op.getType().getElementType());
  Tensor o = s.place(0), i = s.place(1), n = s.number(in), m = s.number(out);
  // Twice the centres, times `out`: whole numbers, so that no pixel falls to the wrong side of an edge.
  Tensor centre = (o * 2 + 1) * n, own = (i * 2 + 1) * m;
  StringRef mode = op.getMode();
  if (mode == "nearest")
    return s.mark(i == s.min(s.floor(centre / (m * 2)), n - 1)).value;
  if (!op.getAntialias() && mode != "area") { // the edge's pixel goes on outside
    Tensor at = centre / (m * 2) - 0.5;
    if (mode == "bilinear")
      return s.max(1.0 - s.abs(i - s.max(s.min(at, n - 1), s.number(0.0))), s.number(0.0)).value;
    Tensor first = s.floor(at), sum = s.number(0.0);
    for (int tap : {-1, 0, 1, 2}) {
      Tensor place = first + double(tap);
      sum = sum + select(i == s.max(s.min(place, n - 1), s.number(0.0)), cubic(s, place - at, -0.75), s.number(0.0));
    }
    return sum.value;
  }
  // The filter is as wide as the reduction; what lies outside is left out, and the rest adds up to 1.
  Tensor distance = (own - centre) / (s.max(n, m) * 2);
  Tensor weight = mode == "area"       ? select(distance > -0.5, s.mark(s.of(LeOp::create(b, op.getLoc(), distance.value, s.number(0.5).value))), s.number(0.0))
                  : mode == "bilinear" ? s.max(1.0 - s.abs(distance), s.number(0.0))
                                       : cubic(s, distance, -0.5);
  Value sum = ReduceSumOp::create(b, op.getLoc(), weight.value, ArrayRef<int64_t>{1});
  return (weight / s.of(buildBroadcast(b, op.getLoc(), sum, {1}, s.type))).value;
}

} // namespace

LogicalResult ResizeOp::buildGradient(OpBuilder &b, ValueRange cotangents, ArrayRef<bool> needed,
                                      SmallVectorImpl<Value> &gradients) {
  if (!needed[0])
    return success();
  SmallVector<AffineExpr> from = sizesOf(getImage().getType()), to = sizesOf(getType());
  unsigned symbols = std::max(symbolCount(getImage().getType()), symbolCount(getType()));
  auto dim = [&](unsigned i) { return b.getAffineDimExpr(i); };
  auto product = [&](Value x, AffineExpr summed, ArrayRef<AffineExpr> sizes, ArrayRef<AffineExpr> xAt, Value table, ArrayRef<AffineExpr> tableAt) {
    auto type = tensorType(sizes, symbols, getType().getElementType());
    return ContractOp::create(b, getLoc(), type, x, table, AffineMap::get(5, 0, xAt, getContext()),
                              AffineMap::get(5, 0, tableAt, getContext()),
                              AffineMap::get(0, isa<AffineConstantExpr>(summed) ? 0 : symbols, summed))
        .getResult();
  };
  Value across = product(cotangents[0], to[3], {to[0], to[1], to[2], from[3]}, {dim(0), dim(1), dim(2), dim(4)},
                         resizeTable(*this, b, from[3], to[3]), {dim(4), dim(3)});
  gradients[0] = product(across, to[2], from, {dim(0), dim(1), dim(4), dim(3)}, resizeTable(*this, b, from[2], to[2]), {dim(4), dim(2)});
  return success();
}

LogicalResult WarpOp::buildGradient(OpBuilder &b, ValueRange cotangents, ArrayRef<bool> needed,
                                    SmallVectorImpl<Value> &gradients) {
  Location loc = getLoc();
  SmallVector<AffineExpr> from = sizesOf(getImage().getType()), to = sizesOf(getType());
  unsigned symbols = std::max(symbolCount(getImage().getType()), symbolCount(getType()));
  Type element = getType().getElementType(), whole = b.getI64Type();
  AffineExpr n = b.getAffineDimExpr(0), i = b.getAffineDimExpr(1), j = b.getAffineDimExpr(2), k = b.getAffineDimExpr(3);
  auto numbered = [&](int64_t number) { return b.getAffineConstantExpr(number); };
  auto type = [&](ArrayRef<AffineExpr> sizes) { return tensorType(sizes, symbols, element); };

  // Where each pixel of the result looks, [N, h, w]; beyond one pixel outside all is `fill`.
  Space s(b, loc, {to[0], to[2], to[3]}, symbols, element), places(b, loc, s.sizes, symbols, whole);
  Tensor x = s.place(2) + 0.5, y = s.place(1) + 0.5, width = s.number(from[3]), height = s.number(from[2]);
  auto at = [&](int64_t row, Tensor size) {
    auto m = [&](int64_t column) { return s.read(getMatrix(), {n, numbered(row), numbered(column)}); };
    return s.between(m(0) * x + m(1) * y + m(2) - 0.5, s.number(-2.0), size + 1);
  };
  Tensor u = at(0, width), v = at(1, height), left = s.floor(u), top = s.floor(v), right = u - left, low = v - top;

  // Pixels as rows of a table [N * H * W, C], and those of the result as [N, h, w, C].
  Space pixels(b, loc, {to[0], to[2], to[3], to[1]}, symbols, element);
  Value dy = pixels.read(cotangents[0], {n, k, i, j}).value;
  SmallVector<AffineExpr> channelsLast = {from[0], from[2], from[3], from[1]};
  auto tableType = type({canonical(from[0] * from[2] * from[3]), from[1]});
  auto spread = [&](Tensor perPixel) { return pixels.read(perPixel.value, {n, i, j}); };
  struct Corner {
    Tensor inside; // bool
    Value id;
  };
  auto corner = [&](int down, int across) {
    Tensor row = top + double(down), column = left + double(across), zero = s.number(0.0);
    Tensor r = s.between(row, zero, height - 1), c = s.between(column, zero, width - 1);
    Value record = IotaOp::create(b, loc, places.type, 0);
    auto integer = [&](Tensor t) { return places.of(CastOp::create(b, loc, places.type, t.value)); };
    Tensor id = (places.of(record) * places.number(from[2]) + integer(r)) * places.number(from[3]) + integer(c);
    return Corner{s.of(AndOp::create(b, loc, (r == row).value, (c == column).value)), id.value};
  };
  Corner corners[2][2] = {{corner(0, 0), corner(0, 1)}, {corner(1, 0), corner(1, 1)}};

  if (needed[0]) {
    Value sum;
    for (int down : {0, 1})
      for (int across : {0, 1}) {
        const Corner &c = corners[down][across];
        Tensor weight = select(c.inside, (down ? low : 1.0 - low) * (across ? right : 1.0 - right), s.number(0.0));
        Value part = ScatterAddOp::create(b, loc, tableType, (pixels.of(dy) * spread(weight)).value, c.id);
        sum = sum ? AddOp::create(b, loc, sum, part) : part;
      }
    Value picture = ReshapeOp::create(b, loc, type(channelsLast), sum);
    gradients[0] = ViewOp::create(b, loc, getImage().getType(), picture, AffineMap::get(4, 0, {n, j, k, i}, getContext()));
  }
  if (needed[1]) {
    Value lasts = ViewOp::create(b, loc, type(channelsLast), getImage(), AffineMap::get(4, 0, {n, k, i, j}, getContext()));
    Value table = ReshapeOp::create(b, loc, tableType, lasts);
    double fill = getFill().convertToDouble();
    auto pixel = [&](int down, int across) {
      Tensor found = pixels.of(GatherOp::create(b, loc, pixels.type, table, corners[down][across].id));
      return select(spread(corners[down][across].inside), found, pixels.number(fill));
    };
    Tensor p00 = pixel(0, 0), p01 = pixel(0, 1), p10 = pixel(1, 0), p11 = pixel(1, 1);
    Tensor down = spread(low), across = spread(right);
    auto overChannels = [&](Tensor slope) { return s.of(ReduceSumOp::create(b, loc, (pixels.of(dy) * slope).value, ArrayRef<int64_t>{3})); };
    Tensor du = overChannels((1.0 - down) * (p01 - p00) + down * (p11 - p10));
    Tensor dv = overChannels((1.0 - across) * (p10 - p00) + across * (p11 - p01));
    SmallVector<Value> parts;
    for (Tensor slope : {du, dv})
      for (Tensor part : {slope * x, slope * y, slope}) {
        Value sum = ReduceSumOp::create(b, loc, part.value, ArrayRef<int64_t>{1, 2});
        parts.push_back(ReshapeOp::create(b, loc, type({to[0], numbered(1)}), sum));
      }
    Value row = ConcatOp::create(b, loc, type({to[0], numbered(6)}), parts, 1);
    gradients[1] = ReshapeOp::create(b, loc, getMatrix().getType(), row);
  }
  return success();
}
