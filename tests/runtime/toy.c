/* A module written by hand, in the form that the compiler emits: three symbols, entries that call the runtime's loop.
 * It holds one weight w f32[3] and one counter, and has the functions
 *   toy.forward   x f32[N, 3] -> y f32[N] = x . w, twice (f32[2*N]) as another output
 *   toy.step      x f32[N, 3] -> loss f32[] = sum of x . w; then w += 1 and count += 1
 *   toy.init      w = seed, seed + 1, seed + 2; count = 0; the slot w/m = 0.5, 0.5, 0.5
 *   toy.where     step and steps -> f32[2]
 *   toy.doubled   y f32[3] = the prepared value, which is 2 w; toy_preparations counts how often it was computed
 */
#include "bigm/kernels.h"

typedef struct {
  const float *x, *w;
  float *y;
} Closure;

static void rows(void *closure, int64_t begin, int64_t end) {
  Closure *c = (Closure *)closure;
  for (int64_t i = begin; i < end; ++i)
    c->y[i] = c->x[3 * i] * c->w[0] + c->x[3 * i + 1] * c->w[1] + c->x[3 * i + 2] * c->w[2];
}

static int32_t forward(void *context, const int64_t *dims, void *const *buffers, char *arena) {
  Closure c = {(const float *)buffers[0], (const float *)buffers[1], (float *)buffers[2]};
  bigm_rt_parallel_for(context, dims[0], 4, rows, &c);
  float *twice = (float *)buffers[3];
  for (int64_t i = 0; i < 2 * dims[0]; ++i)
    twice[i] = c.y[i / 2];
  return 0;
}

static int32_t step(void *context, const int64_t *dims, void *const *buffers, char *arena) {
  float *w = (float *)buffers[1], *loss = (float *)buffers[3];
  Closure c = {(const float *)buffers[0], w, (float *)arena};
  bigm_rt_parallel_for(context, dims[0], 4, rows, &c);
  *loss = 0;
  for (int64_t i = 0; i < dims[0]; ++i)
    *loss += c.y[i];
  for (int i = 0; i < 3; ++i)
    w[i] += 1;
  *(int64_t *)buffers[2] += 1;
  return 0;
}

static int32_t init(void *context, const int64_t *dims, void *const *buffers, char *arena) {
  for (int i = 0; i < 3; ++i)
    ((float *)buffers[1])[i] = (float)(*(const int64_t *)buffers[0] + i);
  *(int64_t *)buffers[2] = 0;
  for (int i = 0; i < 3; ++i)
    ((float *)buffers[3])[i] = 0.5f;
  return 0;
}

static int32_t where(void *context, const int64_t *dims, void *const *buffers, char *arena) {
  ((float *)buffers[2])[0] = *(const float *)buffers[0];
  ((float *)buffers[2])[1] = *(const float *)buffers[1];
  return 0;
}

static int32_t doubled(void *context, const int64_t *dims, void *const *buffers, char *arena) {
  for (int i = 0; i < 3; ++i)
    ((float *)buffers[1])[i] = ((const float *)buffers[0])[i];
  return 0;
}

int toy_preparations = 0;
static int32_t prepare(void *context, const int64_t *dims, void *const *buffers, char *arena) {
  ++toy_preparations;
  for (int i = 0; i < 3; ++i)
    ((float *)buffers[1])[i] = 2 * ((const float *)buffers[0])[i];
  return 0;
}

static int32_t broken(void *context, const int64_t *dims, void *const *buffers, char *arena) { return 7; }

#define TEXT                                                                                                            \
  "{\"bigm\":1,\"name\":\"toy\",\"tensors\":["                                                                          \
  "{\"name\":\"toy.w\",\"kind\":\"param\",\"dtype\":\"f32\",\"shape\":[3]},"                                            \
  "{\"name\":\"toy.count\",\"kind\":\"state\",\"dtype\":\"i64\",\"shape\":[]},"                                         \
  "{\"name\":\"toy.w/m\",\"kind\":\"slot\",\"dtype\":\"f32\",\"shape\":[3]}],"                                          \
  "\"functions\":["                                                                                                     \
  "{\"name\":\"toy.forward\",\"symbols\":[\"N\"],\"args\":["                                                            \
  "{\"name\":\"x\",\"role\":\"input\",\"dtype\":\"f32\",\"shape\":[\"N\",3]},"                                          \
  "{\"name\":\"toy.w\",\"role\":\"tensor\",\"tensor\":0,\"access\":\"read\"},"                                          \
  "{\"name\":\"y\",\"role\":\"output\",\"dtype\":\"f32\",\"shape\":[\"N\"]},"                                           \
  "{\"name\":\"twice\",\"role\":\"output\",\"dtype\":\"f32\",\"shape\":[\"2*N\"]}],\"arena\":[]},"                      \
  "{\"name\":\"toy.step\",\"symbols\":[\"N\"],\"args\":["                                                               \
  "{\"name\":\"x\",\"role\":\"input\",\"dtype\":\"f32\",\"shape\":[\"N\",3]},"                                          \
  "{\"name\":\"toy.w\",\"role\":\"tensor\",\"tensor\":0,\"access\":\"update\"},"                                        \
  "{\"name\":\"toy.count\",\"role\":\"tensor\",\"tensor\":1,\"access\":\"update\"},"                                    \
  "{\"name\":\"loss\",\"role\":\"output\",\"dtype\":\"f32\",\"shape\":[]}],\"arena\":[{\"bytes\":4,\"of\":[\"N\"]}]},"  \
  "{\"name\":\"toy.init\",\"symbols\":[],\"args\":["                                                                    \
  "{\"name\":\"seed\",\"role\":\"seed\",\"dtype\":\"i64\",\"shape\":[]},"                                               \
  "{\"name\":\"toy.w\",\"role\":\"tensor\",\"tensor\":0,\"access\":\"write\"},"                                         \
  "{\"name\":\"toy.count\",\"role\":\"tensor\",\"tensor\":1,\"access\":\"write\"},"                                     \
  "{\"name\":\"toy.w/m\",\"role\":\"tensor\",\"tensor\":2,\"access\":\"write\"}],\"arena\":[]},"                        \
  "{\"name\":\"toy.where\",\"symbols\":[],\"args\":["                                                                   \
  "{\"name\":\"step\",\"role\":\"step\",\"dtype\":\"f32\",\"shape\":[]},"                                               \
  "{\"name\":\"steps\",\"role\":\"steps\",\"dtype\":\"f32\",\"shape\":[]},"                                             \
  "{\"name\":\"where\",\"role\":\"output\",\"dtype\":\"f32\",\"shape\":[2]}],\"arena\":[]},"                            \
  "{\"name\":\"toy.doubled\",\"symbols\":[],\"args\":["                                                             \
  "{\"name\":\"prepared.0\",\"role\":\"prepared\",\"prepared\":0,\"access\":\"read\"},"                               \
  "{\"name\":\"y\",\"role\":\"output\",\"dtype\":\"f32\",\"shape\":[3]}],\"arena\":[]},"                                \
  "{\"name\":\"toy.broken\",\"symbols\":[],\"args\":[],\"arena\":[]}],"                                                 \
  "\"prepared\":[12],\"prepare\":{\"name\":\"prepare\",\"symbols\":[],\"args\":["                                    \
  "{\"name\":\"toy.w\",\"role\":\"tensor\",\"tensor\":0,\"access\":\"read\"},"                                         \
  "{\"name\":\"prepared.0\",\"role\":\"prepared\",\"prepared\":0,\"access\":\"write\"}],\"arena\":[]},"               \
  "\"trains\":[{\"name\":\"toy\",\"init\":\"toy.init\",\"forward\":\"toy.forward\",\"predict\":\"\",\"seed\":3,"                         \
  "\"phases\":[{\"name\":\"all\",\"step\":\"toy.step\"}]}],\"evaluates\":[],\"data\":[]}"

BIGM_EXPORT const char toy_bigm_manifest[] = TEXT;
BIGM_EXPORT const uint64_t toy_bigm_manifest_size = sizeof(TEXT) - 1;
BIGM_EXPORT const bigm_entry toy_bigm_entries[] = {forward, step, init, where, doubled, broken, prepare};
