// The callers of the Halide kernels: they choose the variant for this CPU, make the tables of a resize, and spread
// rows over the context's threads.
//
// The kernels need one thing of a runtime, memory for a row, and get it from a buffer that each thread keeps. So a
// steady state allocates nothing, and Halide's own runtime (with its thread pool) is left out.
#include "Call.h"
#include "bigm/kernels.h"
#include "bigm_halide_resize_v2.h"
#include "bigm_halide_resize_v3.h"
#include "bigm_halide_warp_v2.h"
#include "bigm_halide_warp_v3.h"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

using namespace bigm::halide;

namespace {

/// A block of memory that grows and is kept. Out of memory ends the process: compiled code cannot report it.
class Scratch {
public:
  ~Scratch() { std::free(begin); }
  void *get(size_t bytes) {
    if (bytes > length) {
      std::free(begin);
      length = (bytes + 4095) / 4096 * 4096;
      begin = std::aligned_alloc(64, length);
      if (!begin)
        std::abort();
    }
    return begin;
  }

private:
  void *begin = nullptr;
  size_t length = 0;
};

thread_local Scratch rowScratch;   // the row between the two sums of a resize
thread_local Scratch tableScratch; // the tables of a resize, held by the thread that called it

const bool hasV3 = takesV3();

// ------------------------------------------------------------------------------------------------- resize
/// How one axis is resized: output i is the sum over taps t of weight[t * out + i] * in[start[i] + t].
struct Axis {
  int64_t in, out, taps;
  double scale;   // input pixels for an output pixel
  double support; // half the width of the window
  double filter;  // by how much the filter is widened
  bool clamps;    // outside counts as the edge; else it is left out
  int32_t *start = nullptr;
  float *weight = nullptr;
};

/// Keys' cubic, "Cubic convolution interpolation for digital image processing", 1981, eq. 4 with a = -1/2.
double cubic(double x, double a) {
  x = std::fabs(x);
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

double weightAt(double x, int32_t mode, bool antialias) {
  switch (mode) {
  case BIGM_RESIZE_BILINEAR:
    return std::max(0.0, 1 - std::fabs(x));
  case BIGM_RESIZE_BICUBIC:
    return cubic(x, antialias ? -0.5 : -0.75);
  default:
    return x > -0.5 && x <= 0.5;
  }
}

Axis plan(int64_t in, int64_t out, int32_t mode, bool antialias) {
  Axis axis{in, out, 1, double(in) / double(out), 0, 1, false};
  if (mode == BIGM_RESIZE_NEAREST)
    return axis;
  bool widens = antialias || mode == BIGM_RESIZE_AREA;
  axis.filter = widens ? std::max(1.0, axis.scale) : 1;
  axis.clamps = !widens;
  axis.support = axis.filter * (mode == BIGM_RESIZE_BICUBIC ? 2 : mode == BIGM_RESIZE_BILINEAR ? 1 : 0.5);
  axis.taps = std::min<int64_t>(in, int64_t(std::ceil(axis.support)) * 2 + 1);
  return axis;
}

void fillTables(const Axis &axis, int32_t mode, bool antialias) {
  std::fill(axis.weight, axis.weight + axis.taps * axis.out, 0.0f);
  for (int64_t i = 0; i < axis.out; ++i) {
    if (mode == BIGM_RESIZE_NEAREST) {
      axis.start[i] = int32_t(std::min(axis.in - 1, (2 * i + 1) * axis.in / (2 * axis.out)));
      axis.weight[i] = 1;
      continue;
    }
    // Pixel p has its centre at p + 0.5, and counts when that lies within `support` of ours.
    double centre = (double(i) + 0.5) * axis.scale;
    auto first = int64_t(std::floor(centre - axis.support + 0.5)), last = int64_t(std::floor(centre + axis.support + 0.5));
    if (!axis.clamps)
      first = std::max<int64_t>(first, 0), last = std::min(last, axis.in);
    int64_t start = std::clamp<int64_t>(first, 0, axis.in - axis.taps);
    axis.start[i] = int32_t(start);
    double sum = 0;
    for (int64_t p = first; p < last; ++p)
      sum += weightAt((double(p) + 0.5 - centre) / axis.filter, mode, antialias);
    for (int64_t p = first; p < last; ++p) {
      double weight = weightAt((double(p) + 0.5 - centre) / axis.filter, mode, antialias) / sum;
      int64_t tap = std::clamp<int64_t>(p, 0, axis.in - 1) - start;
      axis.weight[tap * axis.out + i] += float(weight);
    }
  }
}

struct ResizeJob {
  const float *image;
  float *out;
  Axis x, y;
};

/// Rows [begin, end) of all planes' rows, one plane after the other.
void resizeRows(void *closure, int64_t begin, int64_t end) {
  const ResizeJob &job = *static_cast<const ResizeJob *>(closure);
  int64_t w = job.x.in, h = job.y.in, outW = job.x.out, outH = job.y.out;
  Buffer<1> startX(job.x.start, i32, {outW}, {1});
  Buffer<2> weightX(job.x.weight, f32, {outW, job.x.taps}, {1, outW});
  while (begin < end) {
    int64_t plane = begin / outH, row = begin % outH, rows = std::min(outH - row, end - begin);
    Buffer<2> in(job.image + plane * h * w, f32, {w, h}, {1, w});
    Buffer<1> startY(job.y.start + row, i32, {rows}, {1});
    Buffer<2> weightY(job.y.weight + row, f32, {rows, job.y.taps}, {1, outH});
    Buffer<2> out(job.out + begin * outW, f32, {outW, rows}, {1, outW});
    (hasV3 ? bigm_halide_resize_v3 : bigm_halide_resize_v2)(&in, &startX, &startY, &weightX, &weightY, &out);
    begin += rows;
  }
}

// ------------------------------------------------------------------------------------------------- warp
struct WarpJob {
  const float *image, *matrix;
  float *out;
  int64_t c, h, w, outH, outW;
  float fill;
};

void warpRows(void *closure, int64_t begin, int64_t end) {
  const WarpJob &job = *static_cast<const WarpJob *>(closure);
  while (begin < end) {
    int64_t sample = begin / job.outH, row = begin % job.outH, rows = std::min(job.outH - row, end - begin);
    Buffer<3> in(job.image + sample * job.c * job.h * job.w, f32, {job.w, job.h, job.c}, {1, job.w, job.h * job.w});
    Buffer<1> matrix(job.matrix + sample * 6, f32, {6}, {1});
    Buffer<3> out(job.out + sample * job.c * job.outH * job.outW + row * job.outW, f32, {job.outW, rows, job.c},
                  {1, job.outW, job.outH * job.outW});
    // Rows keep their numbers, so that the map need not know about the cut.
    out.dims[1].min = int32_t(row);
    (hasV3 ? bigm_halide_warp_v3 : bigm_halide_warp_v2)(&in, &matrix, job.fill, &out);
    begin += rows;
  }
}

/// Rows that make a task worth handing out: some 16k pixels.
int64_t grainFor(int64_t pixelsPerRow) { return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, pixelsPerRow)); }

} // namespace

// What the kernels call of Halide's runtime. One block is held at a time, so a buffer for each thread is enough.
extern "C" {
__attribute__((visibility("hidden"))) void *halide_malloc(void *, size_t bytes) { return rowScratch.get(bytes + 64); }
__attribute__((visibility("hidden"))) void halide_free(void *, void *) {}
}

extern "C" void bigm_rt_warp_f32(void *context, const float *image, const float *matrix, float *out, int64_t n,
                                 int64_t c, int64_t h, int64_t w, int64_t out_h, int64_t out_w, float fill) {
  if (n <= 0 || c <= 0 || h <= 0 || w <= 0 || out_h <= 0 || out_w <= 0)
    return;
  WarpJob job{image, matrix, out, c, h, w, out_h, out_w, fill};
  bigm_rt_parallel_for(context, n * out_h, grainFor(c * out_w), warpRows, &job);
}

extern "C" void bigm_rt_resize_f32(void *context, const float *image, float *out, int64_t n, int64_t c, int64_t h,
                                   int64_t w, int64_t out_h, int64_t out_w, int32_t mode, int32_t antialias) {
  if (n <= 0 || c <= 0 || h <= 0 || w <= 0 || out_h <= 0 || out_w <= 0)
    return;
  ResizeJob job{image, out, plan(w, out_w, mode, antialias), plan(h, out_h, mode, antialias)};
  size_t entries = size_t(out_w * (job.x.taps + 1) + out_h * (job.y.taps + 1));
  auto *tables = static_cast<float *>(tableScratch.get(entries * sizeof(float)));
  for (Axis *axis : {&job.x, &job.y}) {
    axis->start = reinterpret_cast<int32_t *>(tables);
    axis->weight = tables + axis->out;
    tables += axis->out * (axis->taps + 1);
    fillTables(*axis, mode, antialias);
  }
  bigm_rt_parallel_for(context, n * c * out_h, grainFor(out_w * job.x.taps + w * job.y.taps), resizeRows, &job);
}
