/* The C ABI of bigm: load a compiled program, its weights, and run its functions.
 *
 *   module    what the compiler made: a manifest and compiled functions. Read-only, shared by models.
 *   model     the program's persistent tensors: parameters, states, optimiser slots, metrics, fitted values.
 *   context   what one thread needs to call functions of a model: scratch memory and a pool of worker threads.
 *
 * Threads: a module and a model may be used from any number of threads, a context from one thread at a time (make
 * one for each thread). Functions that only read tensors run side by side; one that writes tensors (a train step)
 * waits for the others and runs alone. Calls in a steady state (same function, sizes not above those seen before)
 * do not allocate memory.
 *
 * Errors: every function that can fail returns a bigm_status; bigm_last_error() has the text. No exception leaves
 * this interface, and a NULL pointer where one is not allowed is BIGM_ERROR_ARGUMENT. A call that fails changes
 * nothing unless said.
 *
 * Versions: a struct begins with `struct_size`, which the caller sets to sizeof of the struct as it knows it; new
 * fields go to the end, and the library fills or reads only as many bytes as the caller has. BIGM_INIT(type) makes
 * one zeroed with its size set.
 */
#ifndef BIGM_BIGM_H
#define BIGM_BIGM_H

#include <stddef.h>
#include <stdint.h>
#include "kernels.h"

#define BIGM_ABI_VERSION 1

#ifdef __cplusplus
#define BIGM_INIT(type) (::bigm_detail_init<type>())
template <class T> inline T bigm_detail_init() {
  T value = T();
  value.struct_size = sizeof(T);
  return value;
}
extern "C" {
#else
#define BIGM_INIT(type) ((type){.struct_size = sizeof(type)})
#endif

typedef int32_t bigm_status;
enum {
  BIGM_OK = 0,
  BIGM_ERROR_ARGUMENT = 1,  /* a NULL pointer, an index out of range, a struct of the wrong size */
  BIGM_ERROR_NOT_FOUND = 2, /* no file, function or tensor of this name */
  BIGM_ERROR_SHAPE = 3,     /* sizes that the function cannot take */
  BIGM_ERROR_IO = 4,        /* the system could not read or write: no permission, disk full */
  BIGM_ERROR_FORMAT = 5,    /* a file or a manifest that is not what it should be */
  BIGM_ERROR_WEIGHTS = 6,   /* weights of another program: missing, extra or mis-shaped tensors */
  BIGM_ERROR_MEMORY = 7,    /* out of memory */
  BIGM_ERROR_VERSION = 8,   /* made for another version of this ABI */
  BIGM_ERROR_INTERNAL = 9,  /* a bug in bigm */
  BIGM_ERROR_CPU = 10       /* the program has no code that this CPU can run */
};

/* What went wrong in the last call of this thread that failed; never NULL. Valid until this thread's next call. */
BIGM_EXPORT const char *bigm_last_error(void);
/* "ok", "argument", ... */
BIGM_EXPORT const char *bigm_status_name(bigm_status status);
/* The version of the ABI that the library speaks: BIGM_ABI_VERSION of its build. */
BIGM_EXPORT int32_t bigm_abi_version(void);
/* "bigm 0.1.0" */
BIGM_EXPORT const char *bigm_version(void);

typedef enum bigm_dtype {
  BIGM_F32 = 0, BIGM_F64, BIGM_BF16, BIGM_F16, BIGM_I64, BIGM_I32, BIGM_U8, BIGM_I8, BIGM_BOOL /* one byte */
} bigm_dtype;
/* Bytes of one element; 0 when `dtype` is none. */
BIGM_EXPORT size_t bigm_dtype_size(int32_t dtype);
/* "f32", ...; "?" when `dtype` is none. */
BIGM_EXPORT const char *bigm_dtype_name(int32_t dtype);

/* ---------------------------------------------------------------------------------------------- module */
typedef struct bigm_module bigm_module;

/* A program may carry its code for several CPUs. Where a module is made or opened, the best variant that this CPU can run
 * is taken, once and for all; where there is none, that fails with BIGM_ERROR_CPU and says what is missing. `cpu` holds
 * the CPU to a level, "x86-64-v2", "x86-64-v3" or "x86-64-v4", as the environment's BIGM_CPU does where `cpu` is NULL; a
 * level that this CPU does not reach is BIGM_ERROR_CPU too. */

/* The three symbols that a compiled module exports, for linking it directly. They must outlive the module. */
typedef struct bigm_module_source {
  size_t struct_size;
  const char *manifest; /* JSON, UTF-8 */
  uint64_t manifest_size;
  const bigm_entry *entries; /* in the order of the manifest's functions, then `prepare` where it has one */
  const char *cpu;           /* NULL: BIGM_CPU, or what this CPU is */
} bigm_module_source;

BIGM_EXPORT bigm_status bigm_module_create(const bigm_module_source *source, bigm_module **out);
/* Opens a shared library that holds a module. `stem` is the program's name as in its symbols
 * (`STEM_bigm_manifest`); NULL takes it from the file's name (`libSTEM.so`, `STEM.so`). */
BIGM_EXPORT bigm_status bigm_module_open(const char *path, const char *stem, bigm_module **out);
/* The same on a CPU held to a level; `cpu` may be NULL. */
BIGM_EXPORT bigm_status bigm_module_open_for(const char *path, const char *stem, const char *cpu, bigm_module **out);
/* Opens a manifest without code (functions cannot be run): for looking at an artifact. */
BIGM_EXPORT bigm_status bigm_module_describe(const char *manifest, uint64_t size, bigm_module **out);
/* Frees the handle; models made of it keep what they need. NULL is allowed, here and in all functions like it. */
BIGM_EXPORT void bigm_module_destroy(bigm_module *module);

BIGM_EXPORT const char *bigm_module_name(const bigm_module *module);
/* The target of the code that runs, "cpu:x86-64-v3"; the manifest lists all that the program carries. */
BIGM_EXPORT const char *bigm_module_target(const bigm_module *module);
/* The manifest's text and, when `size` is not NULL, its length. */
BIGM_EXPORT const char *bigm_module_manifest(const bigm_module *module, uint64_t *size);
BIGM_EXPORT int32_t bigm_module_function_count(const bigm_module *module);
BIGM_EXPORT int32_t bigm_module_tensor_count(const bigm_module *module);
/* The number of a function or tensor, or -1 when there is none of that name. Look up once, then use the number. */
BIGM_EXPORT int32_t bigm_module_find_function(const bigm_module *module, const char *name);
BIGM_EXPORT int32_t bigm_module_find_tensor(const bigm_module *module, const char *name);

typedef struct bigm_function_info {
  size_t struct_size;
  const char *name;
  int32_t symbol_count; /* named dimensions: what `dims` of a call gives */
  int32_t arg_count;    /* all arguments, persistent tensors included */
  int32_t input_count;  /* what `inputs` of a call gives */
  int32_t output_count; /* what `outputs` of a call gives */
  int32_t needs_seed;   /* has an argument of role seed */
  int32_t needs_step;   /* has one of role step or steps */
  int32_t writes;       /* writes persistent tensors */
} bigm_function_info;
BIGM_EXPORT bigm_status bigm_module_function(const bigm_module *module, int32_t function, bigm_function_info *out);
/* The name of a symbol ("N"), or NULL. */
BIGM_EXPORT const char *bigm_function_symbol(const bigm_module *module, int32_t function, int32_t symbol);

typedef struct bigm_value_info {
  size_t struct_size;
  const char *name;
  int32_t dtype;
  int32_t rank;
  int64_t classes; /* number of classes when it is a label, else 0 */
} bigm_value_info;
BIGM_EXPORT bigm_status bigm_function_input(const bigm_module *module, int32_t function, int32_t input,
                                            bigm_value_info *out);
BIGM_EXPORT bigm_status bigm_function_output(const bigm_module *module, int32_t function, int32_t output,
                                             bigm_value_info *out);
/* Finds `dims` (symbol_count numbers) such that input i has the shape `shapes[i]` (its rank many numbers). Every
 * input's shape is checked; BIGM_ERROR_SHAPE names the first that does not fit. */
BIGM_EXPORT bigm_status bigm_function_solve(const bigm_module *module, int32_t function, const int64_t *const *shapes,
                                            int64_t *dims);
/* The shape of an input or output under `dims`; `shape` takes its rank many numbers. */
BIGM_EXPORT bigm_status bigm_function_input_shape(const bigm_module *module, int32_t function, int32_t input,
                                                  const int64_t *dims, int64_t *shape);
BIGM_EXPORT bigm_status bigm_function_output_shape(const bigm_module *module, int32_t function, int32_t output,
                                                   const int64_t *dims, int64_t *shape);

typedef enum bigm_tensor_kind { BIGM_PARAM = 0, BIGM_STATE, BIGM_SLOT, BIGM_METRIC, BIGM_FIT } bigm_tensor_kind;
typedef struct bigm_tensor_info {
  size_t struct_size;
  const char *name;
  int32_t kind;
  int32_t dtype;
  int32_t rank;
  const int64_t *shape;
  uint64_t bytes;
} bigm_tensor_info;
BIGM_EXPORT bigm_status bigm_module_tensor(const bigm_module *module, int32_t tensor, bigm_tensor_info *out);

/* ---------------------------------------------------------------------------------------------- model */
typedef struct bigm_model bigm_model;

/* Sets of tensor kinds, for load and save. */
enum {
  BIGM_KINDS_WEIGHTS = (1 << BIGM_PARAM) | (1 << BIGM_STATE) | (1 << BIGM_FIT),
  BIGM_KINDS_CHECKPOINT = BIGM_KINDS_WEIGHTS | (1 << BIGM_SLOT),
  BIGM_KINDS_ALL = 31
};

/* Memory for all tensors, each aligned to 64 bytes, all zero. */
BIGM_EXPORT bigm_status bigm_model_create(const bigm_module *module, bigm_model **out);
BIGM_EXPORT void bigm_model_destroy(bigm_model *model);

typedef struct bigm_load_options {
  size_t struct_size;
  uint32_t required;     /* kinds that must be in the file; 0 is BIGM_KINDS_WEIGHTS */
  int32_t allow_missing; /* tensors that are not in the file keep their values */
  int32_t allow_extra;   /* tensors of the file that the program lacks are passed over */
  const char *part;      /* "faces.detector": only tensors of this part, which the file names with the part's path in front or
                          * without it; what the file has of other parts is passed over. NULL: the whole program */
} bigm_load_options;
/* Reads tensors by name from a safetensors file. Tensors of other kinds are taken when they are there. All that is
 * missing, extra or of the wrong shape or type is named in one error; then no tensor is changed. `options` may be
 * NULL. */
BIGM_EXPORT bigm_status bigm_model_load(bigm_model *model, const char *path, const bigm_load_options *options);
/* Writes the tensors of `kinds` (0: BIGM_KINDS_WEIGHTS) as safetensors, sorted by name; the same tensors give the
 * same bytes. The file appears whole or not at all (temporary file in the same folder, fsync, rename). */
BIGM_EXPORT bigm_status bigm_model_save(const bigm_model *model, const char *path, uint32_t kinds);
/* Copies a tensor out or in; `size` must be its size in bytes. */
BIGM_EXPORT bigm_status bigm_model_read(const bigm_model *model, int32_t tensor, void *to, uint64_t size);
BIGM_EXPORT bigm_status bigm_model_write(bigm_model *model, int32_t tensor, const void *from, uint64_t size);
/* The tensor's own memory, aligned to 64 bytes, or NULL. Whoever uses it sees to it that no call writes meanwhile. To
 * write through it once a function has run, ask for it again: values that the program prepared from its weights follow
 * those that stand there at the first call after this one. */
BIGM_EXPORT void *bigm_model_data(bigm_model *model, int32_t tensor);
/* The module that the model is made of; lives as long as the model. */
BIGM_EXPORT const bigm_module *bigm_model_module(const bigm_model *model);

/* ---------------------------------------------------------------------------------------------- context */
typedef struct bigm_context bigm_context;

typedef struct bigm_context_options {
  size_t struct_size;
  int32_t threads; /* 0: as many as the machine has cores for us */
} bigm_context_options;
/* `options` may be NULL. The model must outlive the context. */
BIGM_EXPORT bigm_status bigm_context_create(bigm_model *model, const bigm_context_options *options,
                                            bigm_context **out);
BIGM_EXPORT void bigm_context_destroy(bigm_context *context);
BIGM_EXPORT int32_t bigm_context_threads(const bigm_context *context);
/* Bytes of scratch memory that the context holds. */
BIGM_EXPORT uint64_t bigm_context_arena_bytes(const bigm_context *context);

typedef struct bigm_call {
  size_t struct_size;
  int32_t function;          /* its number: bigm_module_find_function */
  const int64_t *dims;       /* symbol_count numbers >= 1; may be NULL when there are none */
  const void *const *inputs; /* input_count pointers to dense row-major data, aligned to their elements */
  void *const *outputs;      /* output_count pointers; NULL for an output that is not wanted */
  int64_t seed;              /* role seed */
  float step, steps;         /* roles step and steps */
} bigm_call;
/* Runs one function. Inputs and outputs must not overlap. */
BIGM_EXPORT bigm_status bigm_run(bigm_context *context, const bigm_call *call);
/* Sets the parameters, states and optimiser slots of a train program ("digit_model"; NULL when the program has one)
 * from a seed. A model that got its weights from a file needs no call of it: where slots were neither set by the caller
 * nor loaded, the first train step gives them their initial values. */
BIGM_EXPORT bigm_status bigm_init(bigm_context *context, const char *train, int64_t seed);
/* Grows the scratch memory for a function at these sizes, so that the first call does not. */
BIGM_EXPORT bigm_status bigm_reserve(bigm_context *context, int32_t function, const int64_t *dims);

#ifdef __cplusplus
}
#endif
#endif
