// The callers of the Halide kernels on pictures of bytes: rows of one picture, with the variant for this CPU. They need no memory.
#include "Call.h"
#include "bigm/picture_kernels.h"
#include "bigm_halide_blur_across_v2.h"
#include "bigm_halide_blur_across_v3.h"
#include "bigm_halide_blur_down_v2.h"
#include "bigm_halide_blur_down_v3.h"
#include "bigm_halide_picture_warp_v2.h"
#include "bigm_halide_picture_warp_v3.h"
#include <algorithm>

using namespace bigm::halide;
static const bool hasV3 = takesV3();

extern "C" void bigm_picture_warp(const uint8_t *picture, int64_t channels, int64_t height, int64_t width, const double *matrix, uint8_t fill,
                                  uint8_t *out, int64_t out_height, int64_t out_width, int64_t begin, int64_t end) {
  Buffer<3> in(picture, u8, {width, height, channels}, {1, width, height * width});
  Buffer<1> places(matrix, f64, {6}, {1});
  Buffer<3> to(out + begin * out_width, u8, {out_width, end - begin, channels}, {1, out_width, out_height * out_width});
  to.dims[1].min = int32_t(begin); // rows keep their numbers, so that the map need not know about the cut
  (hasV3 ? bigm_halide_picture_warp_v3 : bigm_halide_picture_warp_v2)(&in, &places, fill, &to);
}

extern "C" void bigm_picture_blur_row(const uint8_t *plane, int64_t height, int64_t width, const int32_t *rows, const int32_t *mirror,
                                      const float *kernel, int64_t taps, float *scratch, uint8_t *out) {
  int64_t reach = taps / 2;
  Buffer<2> in(plane, u8, {width, height}, {1, width});
  Buffer<1> above(rows, i32, {taps}, {1}), weights(kernel, f32, {taps}, {1}), middle(scratch + reach, f32, {width}, {1});
  (hasV3 ? bigm_halide_blur_down_v3 : bigm_halide_blur_down_v2)(&in, &above, &weights, &middle);
  for (int64_t i = 0; i < reach; ++i) {
    scratch[i] = scratch[reach + mirror[i]];
    scratch[reach + width + i] = scratch[reach + mirror[reach + i]];
  }
  std::fill_n(scratch + width + 2 * reach, BIGM_PICTURE_BLUR_SLACK, 0.0f);
  Buffer<1> wide(scratch, f32, {width + 2 * reach}, {1}), to(out, u8, {width}, {1});
  (hasV3 ? bigm_halide_blur_across_v3 : bigm_halide_blur_across_v2)(&wide, &weights, &to);
}
