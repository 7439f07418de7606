// The image kernels as Halide algorithms with their schedules. This program runs when bigmc is built.
//
// Kernels are serial: one call does some rows of one picture, and ImageKernels.cpp spreads calls over the context's
// threads. So no thread pool of Halide's exists, and a pixel's bits do not depend on how rows were handed out: the cut
// into vectors runs along x only.
#include <Halide.h>

using namespace Halide;

namespace {

/// out(x, y, c): bilinear sample of in(x, y, c) where the affine map takes (x, y); see bigm_rt_warp_f32.
class Warp : public Generator<Warp> {
public:
  Input<Buffer<float, 3>> in{"in"};
  Input<Buffer<float, 1>> matrix{"matrix"}; // 6 numbers, row by row
  Input<float> fill{"fill"};
  Output<Buffer<float, 3>> out{"out"};

  void generate() {
    Expr width = in.width(), height = in.height();
    // Where the pixel comes from, as a corner (whole) and a way into the square right of and below it. Places far
    // outside, or no numbers at all, are brought near before they become integers.
    Expr px = cast<float>(x) + 0.5f, py = cast<float>(y) + 0.5f;
    Expr sx = matrix(0) * px + matrix(1) * py + (matrix(2) - 0.5f);
    Expr sy = matrix(3) * px + matrix(4) * py + (matrix(5) - 0.5f);
    place(x, y) = {clamp(sx, -2.0f, cast<float>(width) + 1.0f), clamp(sy, -2.0f, cast<float>(height) + 1.0f)};
    Expr fx = place(x, y)[0], fy = place(x, y)[1];
    Expr x0 = cast<int>(floor(fx)), y0 = cast<int>(floor(fy));
    corner(x, y) = {x0, y0, fx - cast<float>(x0), fy - cast<float>(y0)};

    Expr cx = corner(x, y)[0], cy = corner(x, y)[1], ax = corner(x, y)[2], ay = corner(x, y)[3];
    auto pixel = [&](Expr column, Expr row) {
      Expr value = in(clamp(column, 0, width - 1), clamp(row, 0, height - 1), c);
      return select(column >= 0 && column < width && row >= 0 && row < height, value, fill);
    };
    Expr top = pixel(cx, cy) + ax * (pixel(cx + 1, cy) - pixel(cx, cy));
    Expr bottom = pixel(cx, cy + 1) + ax * (pixel(cx + 1, cy + 1) - pixel(cx, cy + 1));
    out(x, y, c) = top + ay * (bottom - top);
  }

  void schedule() {
    int lanes = natural_vector_size<float>();
    Var outer("outer"), inner("inner");
    // One vector of places serves all channels.
    out.split(x, outer, inner, lanes, TailStrategy::GuardWithIf).reorder(inner, c, outer, y).vectorize(inner);
    corner.compute_at(out, outer).vectorize(x);
  }

private:
  Var x{"x"}, y{"y"}, c{"c"};
  Func place{"place"}, corner{"corner"};
};

/// out(x, y): every output pixel is a weighted sum of a window of in(x, y), columns and rows apart. The tables say where
/// a window starts and how its pixels count, so one kernel serves all filters; see bigm_rt_resize_f32.
class Resize : public Generator<Resize> {
public:
  Input<Buffer<float, 2>> in{"in"};
  Input<Buffer<int32_t, 1>> start_x{"start_x"}, start_y{"start_y"};
  Input<Buffer<float, 2>> weight_x{"weight_x"}, weight_y{"weight_y"}; // (output pixel, tap)
  Output<Buffer<float, 2>> out{"out"};

  void generate() {
    RDom tapX(0, weight_x.dim(1).extent()), tapY(0, weight_y.dim(1).extent());
    // Rows first: they are contiguous, and where the picture shrinks the columns then have less to do.
    rows(x, y) += weight_y(y, tapY) * in(x, clamp(start_y(y) + tapY, 0, in.height() - 1));
    columns(x, y) += weight_x(x, tapX) * rows(clamp(start_x(x) + tapX, 0, in.width() - 1), y);
    out(x, y) = columns(x, y);
    tx = tapX;
    ty = tapY;
  }

  void schedule() {
    int lanes = natural_vector_size<float>();
    Var outer("outer"), inner("inner"), block("block"), within("within");
    out.split(x, outer, inner, lanes, TailStrategy::GuardWithIf).vectorize(inner);
    columns.compute_at(out, outer).vectorize(x);
    columns.update().reorder(x, tx).vectorize(x);
    // One row of the picture between the two sums, in a buffer that stays in the first cache.
    rows.compute_at(out, y).split(x, block, within, 4 * lanes, TailStrategy::RoundUp).vectorize(within, lanes);
    rows.update().split(x, block, within, 4 * lanes, TailStrategy::GuardWithIf).reorder(within, ty, block).vectorize(within, lanes);
  }

private:
  Var x{"x"}, y{"y"};
  Func rows{"rows"}, columns{"columns"};
  RVar tx, ty;
};

/// out(x, y, c): bilinear sample of the bytes of in(x, y, c) where the affine map takes (x, y), or `fill` outside; see
/// runtime/image/Image.h. Places are doubles: which pixels lie outside is seen.
class PictureWarp : public Generator<PictureWarp> {
public:
  Input<Buffer<uint8_t, 3>> in{"in"};
  Input<Buffer<double, 1>> matrix{"matrix"}; // 6 numbers, row by row, of moderate size
  Input<uint8_t> fill{"fill"};
  Output<Buffer<uint8_t, 3>> out{"out"};

  void generate() {
    Expr width = in.width(), height = in.height();
    Expr px = cast<double>(x) + Expr(0.5), py = cast<double>(y) + Expr(0.5);
    Expr sx = matrix(0) * px + matrix(1) * py + matrix(2), sy = matrix(3) * px + matrix(4) * py + matrix(5);
    Expr inside = sx >= Expr(0.0) && sx < cast<double>(width) && sy >= Expr(0.0) && sy < cast<double>(height);
    Expr fx = clamp(sx, Expr(0.0), cast<double>(width)) - Expr(0.5), fy = clamp(sy, Expr(0.0), cast<double>(height)) - Expr(0.5);
    Expr left = floor(fx), top = floor(fy);
    place(x, y) = {cast<int>(left), cast<int>(top), cast<float>(fx - left), cast<float>(fy - top), cast<uint8_t>(inside)};

    Expr x0 = place(x, y)[0], y0 = place(x, y)[1], ax = place(x, y)[2], ay = place(x, y)[3];
    auto pixel = [&](Expr column, Expr row) { return cast<float>(in(clamp(column, 0, width - 1), clamp(row, 0, height - 1), c)); };
    Expr upper = pixel(x0, y0) + ax * (pixel(x0 + 1, y0) - pixel(x0, y0));
    Expr lower = pixel(x0, y0 + 1) + ax * (pixel(x0 + 1, y0 + 1) - pixel(x0, y0 + 1));
    out(x, y, c) = select(place(x, y)[4] != 0, cast<uint8_t>(upper + ay * (lower - upper) + 0.5f), fill);
  }

  void schedule() {
    int lanes = natural_vector_size<float>();
    Var outer("outer"), inner("inner");
    // One vector of places serves all channels.
    out.split(x, outer, inner, lanes, TailStrategy::GuardWithIf).reorder(inner, c, outer, y).vectorize(inner);
    place.compute_at(out, outer).store_in(MemoryType::Stack).vectorize(x);
  }

private:
  Var x{"x"}, y{"y"}, c{"c"};
  Func place{"place"};
};

/// The two halves of a blur, a row at a time: out(x) is the sum over k of kernel(k) times in(x, rows(k)), in floats; and then of
/// the row that this gave, with its ends mirrored, the sum of kernel(k) times in(x + k), in bytes. The second reads up to four
/// vectors beyond.
class BlurDown : public Generator<BlurDown> {
public:
  Input<Buffer<uint8_t, 2>> in{"in"};
  Input<Buffer<int32_t, 1>> rows{"rows"};
  Input<Buffer<float, 1>> kernel{"kernel"};
  Output<Buffer<float, 1>> out{"out"};

  void generate() {
    k = RDom(0, kernel.dim(0).extent());
    // The last vector of a row would reach beyond the picture.
    Func edge = BoundaryConditions::repeat_edge(in, {{Expr(in.dim(0).min()), Expr(in.dim(0).extent())}, {Expr(), Expr()}});
    sum(x) += kernel(k) * cast<float>(edge(x, unsafe_promise_clamped(rows(k), 0, in.height() - 1)));
    out(x) = sum(x);
  }
  void schedule() { inRegisters(out, sum, x, k, natural_vector_size<float>()); }

  /// Four vectors of sums at a time: loads of the kernel's number serve all.
  static void inRegisters(Func out, Func sum, Var x, RVar k, int lanes) {
    Var outer("outer"), inner("inner");
    out.split(x, outer, inner, 4 * lanes, TailStrategy::GuardWithIf).vectorize(inner, lanes);
    sum.compute_at(out, outer).store_in(MemoryType::Stack).bound_extent(x, 4 * lanes).vectorize(x, lanes).unroll(x);
    sum.update().reorder(x, k).vectorize(x, lanes).unroll(x);
  }

private:
  Var x{"x"};
  Func sum{"sum"};
  RDom k;
};

class BlurAcross : public Generator<BlurAcross> {
public:
  Input<Buffer<float, 1>> in{"in"};
  Input<Buffer<float, 1>> kernel{"kernel"};
  Output<Buffer<uint8_t, 1>> out{"out"};

  void generate() {
    k = RDom(0, kernel.dim(0).extent());
    sum(x) += kernel(k) * in(x + k);
    out(x) = cast<uint8_t>(clamp(sum(x) + 0.5f, 0.0f, 255.0f));
  }
  void schedule() { BlurDown::inRegisters(out, sum, x, k, natural_vector_size<float>()); }

private:
  Var x{"x"};
  Func sum{"sum"};
  RDom k;
};

} // namespace

HALIDE_REGISTER_GENERATOR(BlurAcross, blur_across)
HALIDE_REGISTER_GENERATOR(BlurDown, blur_down)
HALIDE_REGISTER_GENERATOR(PictureWarp, picture_warp)
HALIDE_REGISTER_GENERATOR(Warp, warp)
HALIDE_REGISTER_GENERATOR(Resize, resize)
