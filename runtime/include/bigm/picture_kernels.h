/* Kernels on pictures of bytes, made by backends/halide, that runtime/image calls. Pictures are planes [channels, height,
 * width], one after the other. A call does rows of one picture and needs no memory; a pixel's bits do not depend on how rows are
 * handed out. */
#ifndef BIGM_PICTURE_KERNELS_H
#define BIGM_PICTURE_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rows begin to end (not with it) of a picture of out_height x out_width through an affine map, as `image::warp` says. */
void bigm_picture_warp(const uint8_t *picture, int64_t channels, int64_t height, int64_t width, const double *matrix, uint8_t fill,
                       uint8_t *out, int64_t out_height, int64_t out_width, int64_t begin, int64_t end);

enum { BIGM_PICTURE_BLUR_SLACK = 64 };
/* One row of a plane, blurred down and across by `kernel` of `taps` numbers, an odd count. `rows` are the taps rows of the plane
 * that it is made of, `mirror` the taps / 2 columns that stand for those left of the plane and the taps / 2 for those right
 * of it. `scratch` has room for width + taps - 1 + BIGM_PICTURE_BLUR_SLACK floats. */
void bigm_picture_blur_row(const uint8_t *plane, int64_t height, int64_t width, const int32_t *rows, const int32_t *mirror,
                           const float *kernel, int64_t taps, float *scratch, uint8_t *out);

#ifdef __cplusplus
}
#endif
#endif
