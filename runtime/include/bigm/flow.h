/* Flows of a generated library: texts, images and numbers of records in, what the flow finds for each of them out.
 *
 *   bigm_flow_create(module, model, context, "faces", "share/faces", &flow);
 *   bigm_flow_give_file(flow, "photo", "family.jpg");
 *   bigm_flow_record(flow);                            the record is complete; more may follow
 *   bigm_flow_run(flow);
 *   bigm_flow_json(flow, 0, &text);                    or the columns: bigm_flow_array, bigm_flow_text, bigm_flow_image
 *   bigm_flow_destroy(flow);
 *
 * What a flow gives stands in slots, which the manifest names (`flows`, docs/abi.md): one row for each record, or for each
 * element of a list, which then has a slot of numbers, i32 and ascending, that say whose each element is. Pointers that a
 * call gives stay good until the next bigm_flow_clear, bigm_flow_run or bigm_flow_destroy. A flow is for one thread at a
 * time. A call that fails returns its status, and bigm_last_error() has the text. */
#ifndef BIGM_FLOW_H
#define BIGM_FLOW_H
#include "bigm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bigm_flow bigm_flow;

/* The flow of this name. All three handles must outlive it. `share` is the library's folder of files (its tokenizers lie
 * there); NULL where the flow needs none. */
BIGM_EXPORT bigm_status bigm_flow_create(const bigm_module *module, bigm_model *model, bigm_context *context, const char *name,
                                         const char *share, bigm_flow **out);
BIGM_EXPORT void bigm_flow_destroy(bigm_flow *flow);
/* Forgets all records and results. */
BIGM_EXPORT void bigm_flow_clear(bigm_flow *flow);

/* Inputs of the record that comes next, each by its name; parts of records and of lists' elements by their path:
 * `things.where`. */
BIGM_EXPORT bigm_status bigm_flow_give_text(bigm_flow *flow, const char *input, const char *text, uint64_t size);
/* A picture of `channels` 1 (grey) or 3 (red, green, blue), its pixels side by side; `stride`: bytes from row to row, 0 for
 * rows without gaps. The pixels are copied. */
BIGM_EXPORT bigm_status bigm_flow_give_pixels(bigm_flow *flow, const char *input, const uint8_t *pixels, int32_t height,
                                              int32_t width, int32_t channels, int64_t stride);
/* A PNG or JPEG picture, as the bytes of its file or by its path. */
BIGM_EXPORT bigm_status bigm_flow_give_encoded(bigm_flow *flow, const char *input, const void *bytes, uint64_t size);
BIGM_EXPORT bigm_status bigm_flow_give_file(bigm_flow *flow, const char *input, const char *path);
/* Numbers of the input's type, row-major; `sizes` has its `rank` sizes. */
BIGM_EXPORT bigm_status bigm_flow_give_array(bigm_flow *flow, const char *input, const void *data, const int64_t *sizes, int32_t rank);
/* The element of a list has all its parts; those that are given from here on are of the next one. A list that gets none is
 * empty; a value that may be missing takes one element or none. Lists inside of an element are complete before it is. */
BIGM_EXPORT bigm_status bigm_flow_element(bigm_flow *flow, const char *list);
/* The record has all its inputs. One that lacks an input is an error and is dropped. */
BIGM_EXPORT bigm_status bigm_flow_record(bigm_flow *flow);

/* Forgets what was given of the record that comes next: where an input is refused, such as a picture that cannot be read, the
 * records before it stay. */
BIGM_EXPORT void bigm_flow_drop(bigm_flow *flow);

/* Answers all records given so far, or fails for all of them; a record that does can be told by giving each alone. */
BIGM_EXPORT bigm_status bigm_flow_run(bigm_flow *flow);
/* Where a flow gives a `stream text`: who is told of each piece of it as it is written, while bigm_flow_run runs. `record`
 * counts from 0; of several records the pieces come in turns. `piece` is UTF-8 of whole characters, good during the call;
 * all pieces of a record are its text. Returning 0 ends that text where it is. NULL: nobody. It stays until it is replaced.
 * An error for a flow that gives no stream. */
typedef int32_t (*bigm_flow_listener)(void *user, int64_t record, const char *piece, uint64_t size);
BIGM_EXPORT bigm_status bigm_flow_stream(bigm_flow *flow, bigm_flow_listener listener, void *user);
BIGM_EXPORT int64_t bigm_flow_records(const bigm_flow *flow);

/* What a slot holds, all rows one after the other. */
typedef struct bigm_array {
  const void *data;
  const int64_t *sizes; /* the first is the number of rows */
  int32_t dtype, rank;
} bigm_array;
BIGM_EXPORT bigm_status bigm_flow_array(const bigm_flow *flow, const char *slot, bigm_array *out);
BIGM_EXPORT bigm_status bigm_flow_text(const bigm_flow *flow, const char *slot, int64_t row, const char **text, uint64_t *size);
/* A picture's planes one after the other: u8[channels, height, width]. */
BIGM_EXPORT bigm_status bigm_flow_image(const bigm_flow *flow, const char *slot, int64_t row, const uint8_t **planes, int32_t *channels,
                                        int32_t *height, int32_t *width);
/* The rows of a list (or optional value) that belong to row `row` outside: from `*first` up to but not including `*last`. */
BIGM_EXPORT bigm_status bigm_flow_rows(const bigm_flow *flow, const char *numbers, int64_t row, int64_t *first, int64_t *last);
/* What a record got, as JSON: the very text that `bigmc predict --json` prints. */
BIGM_EXPORT bigm_status bigm_flow_json(bigm_flow *flow, int64_t record, const char **text);

#ifdef __cplusplus
}
#endif
#endif
