// The border: checks arguments, turns exceptions into a status and a text, and hands on.
#include "Context.h"
#include "Elem.h"
#include "Failure.h"
#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>

using namespace bigm::rt;

namespace {

thread_local std::string lastError;

} // namespace

bigm_status bigm::rt::report(bigm_status status, const char *text) noexcept {
  try {
    lastError = text;
  } catch (...) {
  }
  return status;
}

namespace {

/// Runs `body`; what it throws becomes the status and the thread's error text.
template <class Body> bigm_status guarded(Body &&body) noexcept {
  bigm_status status = BIGM_OK;
  const char *text = "";
  try {
    body();
    return BIGM_OK;
  } catch (const Failure &failure) {
    try {
      lastError = failure.what();
      return failure.status;
    } catch (...) {
      status = failure.status, text = "out of memory";
    }
  } catch (const std::bad_alloc &) {
    status = BIGM_ERROR_MEMORY, text = "out of memory";
  } catch (const std::exception &error) {
    try {
      lastError = std::string("bug in bigm: ") + error.what();
      return BIGM_ERROR_INTERNAL;
    } catch (...) {
      status = BIGM_ERROR_MEMORY, text = "out of memory";
    }
  } catch (...) {
    status = BIGM_ERROR_INTERNAL, text = "bug in bigm";
  }
  try {
    lastError = text; // short enough to need no memory
  } catch (...) {
  }
  return status;
}

void need(const void *pointer, const char *name) {
  if (!pointer)
    throw Failure(BIGM_ERROR_ARGUMENT, std::string("`") + name + "` is NULL");
}

/// The caller's struct as ours: what it does not know is zero.
template <class T> T readStruct(const T *from, const char *name) {
  T result = {};
  if (!from)
    return result;
  if (from->struct_size <= sizeof(size_t) || from->struct_size > 4096)
    throw Failure(BIGM_ERROR_ARGUMENT, std::string("`") + name + "->struct_size` is not set");
  std::memcpy(&result, from, std::min(from->struct_size, sizeof(T)));
  return result;
}
/// Fills as much of the caller's struct as it has.
template <class T> void writeStruct(T *to, T value, const char *name) {
  need(to, name);
  size_t size = to->struct_size;
  if (size <= sizeof(size_t) || size > 4096)
    throw Failure(BIGM_ERROR_ARGUMENT, std::string("`") + name + "->struct_size` is not set");
  value.struct_size = size;
  std::memcpy(to, &value, std::min(size, sizeof(T)));
}

const Manifest &manifestOf(const bigm_module *module) {
  need(module, "module");
  return module->impl->manifest;
}
template <class List> const auto &at(const List &list, int32_t index, const char *what) {
  if (index < 0 || size_t(index) >= list.size())
    throw Failure(BIGM_ERROR_ARGUMENT, "there is no " + std::string(what) + " of number " + std::to_string(index));
  return list[size_t(index)];
}
const Function &functionOf(const bigm_module *module, int32_t function) {
  return at(manifestOf(module).functions, function, "function");
}

void checkDims(const Function &function, const int64_t *dims) {
  if (function.symbols.empty())
    return;
  need(dims, "dims");
  for (size_t i = 0; i < function.symbols.size(); ++i)
    if (dims[i] < 1)
      throw Failure(BIGM_ERROR_SHAPE, "`" + function.symbols[i] + "` of `" + function.name + "` must be at least 1");
}

bigm_status describeValue(const bigm_module *module, int32_t function, int32_t index, bool output, bigm_value_info *out) {
  return guarded([&] {
    const Function &f = functionOf(module, function);
    const Arg &arg = f.args[output ? at(f.outputs, index, "output") : at(f.inputs, index, "input")];
    writeStruct(out, {0, arg.name.c_str(), arg.dtype, int32_t(arg.shape.size()), arg.classes}, "out");
  });
}

bigm_status evaluateShape(const bigm_module *module, int32_t function, int32_t index, bool output, const int64_t *dims,
                          int64_t *shape) {
  return guarded([&] {
    const Function &f = functionOf(module, function);
    const Arg &arg = f.args[output ? at(f.outputs, index, "output") : at(f.inputs, index, "input")];
    checkDims(f, dims);
    if (!arg.shape.empty())
      need(shape, "shape");
    (void)f.count(arg, dims);
    for (size_t i = 0; i < arg.shape.size(); ++i)
      shape[i] = arg.shape[i].eval(dims);
  });
}

/// The message of a shape that does not fit: both sides, with the names of the dimensions.
[[noreturn]] void misfit(const Function &f, const Arg &arg, const int64_t *seen, const std::vector<int64_t> &dims) {
  std::vector<int64_t> given(seen, seen + arg.shape.size()), wanted;
  std::string known;
  for (const DimExpr &expr : arg.shape)
    wanted.push_back(expr.eval(dims.data()));
  for (size_t s = 0; s < f.symbols.size(); ++s)
    known += (s ? ", " : " with ") + f.symbols[s] + " = " + std::to_string(dims[s]);
  throw Failure(BIGM_ERROR_SHAPE, "input `" + arg.name + "` of `" + f.name + "` is " + typeText(arg.dtype, given) +
                                      ", and it should be " + typeText(arg.dtype, wanted) + known);
}

} // namespace

extern "C" {

const char *bigm_last_error(void) { return lastError.c_str(); }
int32_t bigm_abi_version(void) { return BIGM_ABI_VERSION; }
const char *bigm_version(void) { return "bigm " BIGM_VERSION; }
const char *bigm_status_name(bigm_status status) {
  static const char *const names[] = {"ok", "argument", "not found", "shape", "io", "format", "weights", "memory", "version", "internal", "cpu"};
  return status >= 0 && status <= BIGM_ERROR_CPU ? names[status] : "unknown";
}
size_t bigm_dtype_size(int32_t dtype) { return elemInfo(dtype) ? elemInfo(dtype)->size : 0; }
const char *bigm_dtype_name(int32_t dtype) { return elemInfo(dtype) ? elemInfo(dtype)->name : "?"; }

// ------------------------------------------------------------------------------------------------- module
bigm_status bigm_module_create(const bigm_module_source *source, bigm_module **out) {
  return guarded([&] {
    need(source, "source");
    need(out, "out");
    bigm_module_source from = readStruct(source, "source");
    need(from.manifest, "source->manifest");
    need(from.entries, "source->entries");
    *out = new bigm_module{Module::make({from.manifest, size_t(from.manifest_size)}, from.entries, from.cpu)};
  });
}
bigm_status bigm_module_open(const char *path, const char *stem, bigm_module **out) {
  return bigm_module_open_for(path, stem, nullptr, out);
}
bigm_status bigm_module_open_for(const char *path, const char *stem, const char *cpu, bigm_module **out) {
  return guarded([&] {
    need(path, "path");
    need(out, "out");
    *out = new bigm_module{Module::open(path, stem ? stem : "", cpu)};
  });
}
bigm_status bigm_module_describe(const char *manifest, uint64_t size, bigm_module **out) {
  return guarded([&] {
    need(manifest, "manifest");
    need(out, "out");
    auto module = std::make_shared<Module>();
    module->manifest = Manifest::parse({manifest, size_t(size)});
    *out = new bigm_module{std::move(module)};
  });
}
void bigm_module_destroy(bigm_module *module) { delete module; }

const char *bigm_module_name(const bigm_module *module) { return module ? module->impl->manifest.name.c_str() : ""; }
const char *bigm_module_target(const bigm_module *module) { return module ? module->impl->manifest.target.c_str() : ""; }
const char *bigm_module_manifest(const bigm_module *module, uint64_t *size) {
  if (size)
    *size = module ? module->impl->manifest.text.size() : 0;
  return module ? module->impl->manifest.text.c_str() : "";
}
int32_t bigm_module_function_count(const bigm_module *module) {
  return module ? int32_t(module->impl->manifest.functions.size()) : 0;
}
int32_t bigm_module_tensor_count(const bigm_module *module) {
  return module ? int32_t(module->impl->manifest.tensors.size()) : 0;
}
static int32_t find(const std::unordered_map<std::string, int32_t> &names, const char *name) noexcept {
  try {
    auto found = names.find(name);
    return found == names.end() ? -1 : found->second;
  } catch (...) {
    return -1;
  }
}
int32_t bigm_module_find_function(const bigm_module *module, const char *name) {
  return module && name ? find(module->impl->manifest.functionByName, name) : -1;
}
int32_t bigm_module_find_tensor(const bigm_module *module, const char *name) {
  return module && name ? find(module->impl->manifest.tensorByName, name) : -1;
}
bigm_status bigm_module_function(const bigm_module *module, int32_t function, bigm_function_info *out) {
  return guarded([&] {
    const Function &f = functionOf(module, function);
    writeStruct(out,
                {0, f.name.c_str(), int32_t(f.symbols.size()), int32_t(f.args.size()), int32_t(f.inputs.size()),
                 int32_t(f.outputs.size()), f.needsSeed, f.needsStep, f.writes},
                "out");
  });
}
const char *bigm_function_symbol(const bigm_module *module, int32_t function, int32_t symbol) {
  const char *result = nullptr;
  guarded([&] { result = at(functionOf(module, function).symbols, symbol, "symbol").c_str(); });
  return result;
}
bigm_status bigm_function_input(const bigm_module *module, int32_t function, int32_t input, bigm_value_info *out) {
  return describeValue(module, function, input, false, out);
}
bigm_status bigm_function_output(const bigm_module *module, int32_t function, int32_t output, bigm_value_info *out) {
  return describeValue(module, function, output, true, out);
}
bigm_status bigm_function_input_shape(const bigm_module *module, int32_t function, int32_t input, const int64_t *dims,
                                      int64_t *shape) {
  return evaluateShape(module, function, input, false, dims, shape);
}
bigm_status bigm_function_output_shape(const bigm_module *module, int32_t function, int32_t output,
                                       const int64_t *dims, int64_t *shape) {
  return evaluateShape(module, function, output, true, dims, shape);
}
bigm_status bigm_function_solve(const bigm_module *module, int32_t function, const int64_t *const *shapes, int64_t *dims) {
  return guarded([&] {
    const Function &f = functionOf(module, function);
    if (!f.inputs.empty())
      need(shapes, "shapes");
    if (!f.symbols.empty())
      need(dims, "dims");
    std::vector<const DimExpr *> exprs;
    std::vector<int64_t> sizes, found(f.symbols.size());
    for (size_t i = 0; i < f.inputs.size(); ++i) {
      const Arg &arg = f.args[f.inputs[i]];
      if (!arg.shape.empty())
        need(shapes[i], "shapes[i]");
      for (size_t d = 0; d < arg.shape.size(); ++d) {
        if (shapes[i][d] < 0)
          throw Failure(BIGM_ERROR_SHAPE, "input `" + arg.name + "` of `" + f.name + "` has a negative size");
        exprs.push_back(&arg.shape[d]);
        sizes.push_back(shapes[i][d]);
      }
    }
    if (!solve(exprs, sizes, found)) {
      std::string open;
      for (size_t s = 0; s < found.size(); ++s)
        if (found[s] == 0)
          open += (open.empty() ? "`" : ", `") + f.symbols[s] + "`";
      throw Failure(BIGM_ERROR_SHAPE, "the inputs' shapes give no value >= 1 for " + open + " of `" + f.name + "`");
    }
    for (size_t i = 0; i < f.inputs.size(); ++i) {
      const Arg &arg = f.args[f.inputs[i]];
      for (size_t d = 0; d < arg.shape.size(); ++d)
        if (arg.shape[d].eval(found.data()) != shapes[i][d])
          misfit(f, arg, shapes[i], found);
    }
    std::copy(found.begin(), found.end(), dims);
  });
}
bigm_status bigm_module_tensor(const bigm_module *module, int32_t tensor, bigm_tensor_info *out) {
  return guarded([&] {
    const TensorDecl &t = at(manifestOf(module).tensors, tensor, "tensor");
    writeStruct(out, {0, t.name.c_str(), t.kind, t.dtype, int32_t(t.shape.size()), t.shape.data(), t.bytes}, "out");
  });
}

// ------------------------------------------------------------------------------------------------- model
bigm_status bigm_model_create(const bigm_module *module, bigm_model **out) {
  return guarded([&] {
    need(module, "module");
    need(out, "out");
    *out = new bigm_model{Model(module->impl), {module->impl}};
  });
}
void bigm_model_destroy(bigm_model *model) { delete model; }
const bigm_module *bigm_model_module(const bigm_model *model) { return model ? &model->handle : nullptr; }

bigm_status bigm_model_load(bigm_model *model, const char *path, const bigm_load_options *options) {
  return guarded([&] {
    need(model, "model");
    need(path, "path");
    bigm_load_options given = readStruct(options, "options");
    model->impl.load(path, given.required ? given.required : uint32_t(BIGM_KINDS_WEIGHTS), given.allow_missing, given.allow_extra,
                     given.part ? given.part : "");
  });
}
bigm_status bigm_model_save(const bigm_model *model, const char *path, uint32_t kinds) {
  return guarded([&] {
    need(model, "model");
    need(path, "path");
    model->impl.save(path, kinds ? kinds : uint32_t(BIGM_KINDS_WEIGHTS));
  });
}
static char *tensorOf(const bigm_model *model, int32_t tensor, const void *buffer, uint64_t size) {
  need(model, "model");
  const TensorDecl &decl = at(model->impl.module->manifest.tensors, tensor, "tensor");
  if (size != decl.bytes)
    throw Failure(BIGM_ERROR_SHAPE, "`" + decl.name + "` has " + std::to_string(decl.bytes) + " bytes, not " + std::to_string(size));
  if (size)
    need(buffer, "buffer");
  return model->impl.tensors[size_t(tensor)];
}
bigm_status bigm_model_read(const bigm_model *model, int32_t tensor, void *to, uint64_t size) {
  return guarded([&] {
    const char *from = tensorOf(model, tensor, to, size);
    std::shared_lock guard(model->impl.lock);
    if (size)
      std::memcpy(to, from, size);
  });
}
bigm_status bigm_model_write(bigm_model *model, int32_t tensor, const void *from, uint64_t size) {
  return guarded([&] {
    char *to = tensorOf(model, tensor, from, size);
    std::unique_lock guard(model->impl.lock);
    model->impl.touched(tensor);
    if (size)
      std::memcpy(to, from, size);
  });
}
void *bigm_model_data(bigm_model *model, int32_t tensor) {
  void *result = nullptr;
  guarded([&] {
    need(model, "model");
    result = at(model->impl.tensors, tensor, "tensor");
    std::unique_lock guard(model->impl.lock);
    model->impl.touched(tensor);
  });
  return result;
}

// ------------------------------------------------------------------------------------------------- context
bigm_status bigm_context_create(bigm_model *model, const bigm_context_options *options, bigm_context **out) {
  return guarded([&] {
    need(model, "model");
    need(out, "out");
    bigm_context_options given = readStruct(options, "options");
    if (given.threads < 0 || given.threads > 4096)
      throw Failure(BIGM_ERROR_ARGUMENT, "`threads` is " + std::to_string(given.threads) + ", and it should be 0 to 4096");
    *out = new bigm_context(model->impl, given.threads);
  });
}
void bigm_context_destroy(bigm_context *context) { delete context; }
int32_t bigm_context_threads(const bigm_context *context) { return context ? context->threads : 0; }
uint64_t bigm_context_arena_bytes(const bigm_context *context) { return context ? context->arena.size() : 0; }

bigm_status bigm_run(bigm_context *context, const bigm_call *call) {
  return guarded([&] {
    need(context, "context");
    need(call, "call");
    context->run(readStruct(call, "call"));
  });
}
bigm_status bigm_init(bigm_context *context, const char *train, int64_t seed) {
  return guarded([&] {
    need(context, "context");
    const Manifest &manifest = context->model.module->manifest;
    const auto &trains = manifest.trains;
    auto found = trains.end();
    if (train) {
      found = std::find_if(trains.begin(), trains.end(), [&](const Train &t) { return t.name == train; });
      if (found == trains.end())
        throw Failure(BIGM_ERROR_NOT_FOUND, "`" + manifest.name + "` has no train program `" + train + "`");
    } else if (trains.size() == 1) {
      found = trains.begin();
    } else {
      throw Failure(BIGM_ERROR_ARGUMENT, "`" + manifest.name + "` has " + std::to_string(trains.size()) +
                                             " train programs; say which one to initialise");
    }
    if (found->init < 0)
      throw Failure(BIGM_ERROR_NOT_FOUND, "train `" + found->name + "` has no init function");
    const Function &function = manifest.functions[size_t(found->init)];
    if (!function.symbols.empty() || !function.inputs.empty() || !function.outputs.empty())
      throw Failure(BIGM_ERROR_FORMAT, "`" + function.name + "` takes more than a seed, so it is no init function");
    bigm_call call = BIGM_INIT(bigm_call);
    call.function = found->init;
    call.seed = seed;
    context->run(call);
  });
}
bigm_status bigm_reserve(bigm_context *context, int32_t function, const int64_t *dims) {
  return guarded([&] {
    need(context, "context");
    const Function &f = at(context->model.module->manifest.functions, function, "function");
    checkDims(f, dims);
    // As if no output were wanted: the call that needs most.
    std::vector<void *> none(f.outputs.size());
    context->reserve(context->arenaBytes(f, dims, none.data()));
  });
}

} // extern "C"
