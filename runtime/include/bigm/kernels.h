/* The functions of the runtime that compiled code calls.
 *
 * A compiled module has these as undefined symbols and nothing else of the runtime. They allocate nothing in a
 * steady state, throw nothing, and their results do not depend on the number of threads. `context` is what the
 * entry was given; NULL means "one thread, no context" and is allowed everywhere.
 */
#ifndef BIGM_KERNELS_H
#define BIGM_KERNELS_H

#include <stdint.h>

#if defined(__GNUC__)
#define BIGM_EXPORT __attribute__((visibility("default")))
#else
#define BIGM_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* One compiled function. `dims`: the values of its symbols, all >= 1. `buffers`: its arguments in the manifest's
 * order, dense and row-major. `arena`: scratch memory, aligned to 64 bytes. Returns 0. */
typedef int32_t (*bigm_entry)(void *context, const int64_t *dims, void *const *buffers, char *arena);

/* Calls `body(closure, begin, end)` on disjoint ranges that cover [0, count), perhaps on several threads, and
 * returns when all are done. A range has at least `grain` elements (the last of a thread may have fewer); grain < 1 counts as
 * 1. How the ranges are cut depends on the number of threads, so `body` must give every element the same value
 * however it is called. `body` may call this function again. count <= 0 does nothing. */
BIGM_EXPORT void bigm_rt_parallel_for(void *context, int64_t count, int64_t grain,
                                      void (*body)(void *closure, int64_t begin, int64_t end), void *closure);

/* Affine warp of `image` [n, c, h, w] into `out` [n, c, out_h, out_w], bilinear. `matrix` [n, 2, 3] maps the centre
 * of an output pixel to a place in the input, in pixels; the centre of the pixel in column x, row y is (x+0.5, y+0.5):
 *   in_x = m[0]*(x+0.5) + m[1]*(y+0.5) + m[2],   in_y = m[3]*(x+0.5) + m[4]*(y+0.5) + m[5].
 * A pixel outside of the image has the value `fill`. */
BIGM_EXPORT void bigm_rt_warp_f32(void *context, const float *image, const float *matrix, float *out, int64_t n,
                                  int64_t c, int64_t h, int64_t w, int64_t out_h, int64_t out_w, float fill);

enum { BIGM_RESIZE_NEAREST = 0, BIGM_RESIZE_BILINEAR = 1, BIGM_RESIZE_BICUBIC = 2, BIGM_RESIZE_AREA = 3 };

/* Resizes `image` [n, c, h, w] to `out` [n, c, out_h, out_w]. The centre of output column x stands at
 * (x + 0.5) * w / out_w in the input, whose columns have their centres at half integers; rows likewise.
 *   nearest   the pixel in which that place lies
 *   bilinear  triangle filter; antialias: as wide as two output pixels where the image shrinks
 *   bicubic   Keys' filter, a = -0.75; antialias: a = -0.5, as wide as four output pixels where the image shrinks
 *   area      mean of the pixels whose centres lie under the output pixel (Pillow's box), at least one
 * With antialias, weights that fall outside of the image are left out and the others made to sum to 1, as in Pillow
 * (agrees within one level of
 * 255 where Pillow does not clip between its two passes); without, the edge is repeated, as in PyTorch and OpenCV. */
BIGM_EXPORT void bigm_rt_resize_f32(void *context, const float *image, float *out, int64_t n, int64_t c, int64_t h,
                                    int64_t w, int64_t out_h, int64_t out_w, int32_t mode, int32_t antialias);

#ifdef __cplusplus
}
#endif
#endif
