// The C++17 face of bigm.h: handles that free themselves, exceptions instead of status codes.
//
//   bigm::Module module = bigm::Module::open("libface.so");
//   bigm::Model model(module);
//   model.load("weights.safetensors");
//   bigm::Context context(model);                          // one for each thread
//   bigm::Function forward(module, "face.forward");        // look up once
//   bigm::Call call(forward, {batch});                     // sizes of the symbols
//   call.input(0, pixels.data()).output(0, logits.data());
//   context.run(call);                                     // a steady call allocates nothing
//
// Everything here is a thin layer over the C functions, in the header alone, so it adds nothing to their ABI.
#pragma once
#include "bigm.h"
#include "view.hpp"
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace bigm {

namespace detail {
/// Owns a C handle; moves, does not copy.
template <class T, void (*Destroy)(T *)> class Handle {
public:
  Handle() = default;
  explicit Handle(T *raw) : raw(raw) {}
  Handle(Handle &&other) noexcept : raw(std::exchange(other.raw, nullptr)) {}
  Handle &operator=(Handle &&other) noexcept {
    std::swap(raw, other.raw);
    return *this;
  }
  ~Handle() { Destroy(raw); }
  T *get() const { return raw; }
  explicit operator bool() const { return raw; }

private:
  T *raw = nullptr;
};

template <class T> struct Elem;
template <> struct Elem<float> { static constexpr int32_t value = BIGM_F32; };
template <> struct Elem<double> { static constexpr int32_t value = BIGM_F64; };
template <> struct Elem<int64_t> { static constexpr int32_t value = BIGM_I64; };
template <> struct Elem<int32_t> { static constexpr int32_t value = BIGM_I32; };
template <> struct Elem<uint8_t> { static constexpr int32_t value = BIGM_U8; };
template <> struct Elem<int8_t> { static constexpr int32_t value = BIGM_I8; };
template <> struct Elem<bool> { static constexpr int32_t value = BIGM_BOOL; };
} // namespace detail

/// A compiled program: its manifest and functions.
class Module {
public:
  explicit Module(const bigm_module_source &source) {
    bigm_module *raw = nullptr;
    check(bigm_module_create(&source, &raw));
    handle = Handle(raw);
  }
  /// The three symbols of a module that is linked in.
  Module(const char *manifest, uint64_t size, const bigm_entry *entries) : Module(source(manifest, size, entries)) {}
  static Module open(const std::string &path, const std::string &stem = {}) {
    bigm_module *raw = nullptr;
    check(bigm_module_open(path.c_str(), stem.empty() ? nullptr : stem.c_str(), &raw));
    return Module(Handle(raw));
  }
  const bigm_module *get() const { return handle.get(); }
  std::string name() const { return bigm_module_name(get()); }
  /// Of the code that runs: "cpu:x86-64-v3".
  std::string target() const { return bigm_module_target(get()); }
  std::string manifest() const {
    uint64_t size = 0;
    const char *text = bigm_module_manifest(get(), &size);
    return {text, size_t(size)};
  }
  int32_t functionCount() const { return bigm_module_function_count(get()); }
  int32_t tensorCount() const { return bigm_module_tensor_count(get()); }
  bigm_tensor_info tensor(int32_t index) const {
    bigm_tensor_info info = BIGM_INIT(bigm_tensor_info);
    check(bigm_module_tensor(get(), index, &info));
    return info;
  }
  /// The tensor's number; throws when there is none of that name.
  int32_t findTensor(const std::string &name) const {
    int32_t index = bigm_module_find_tensor(get(), name.c_str());
    if (index < 0)
      throw Error(BIGM_ERROR_NOT_FOUND, "`" + this->name() + "` has no tensor `" + name + "`");
    return index;
  }

private:
  using Handle = detail::Handle<bigm_module, bigm_module_destroy>;
  Handle handle;
  explicit Module(Handle handle) : handle(std::move(handle)) {}
  static bigm_module_source source(const char *manifest, uint64_t size, const bigm_entry *entries) {
    bigm_module_source source = BIGM_INIT(bigm_module_source);
    source.manifest = manifest;
    source.manifest_size = size;
    source.entries = entries;
    return source;
  }
};

/// One function of a module, looked up once.
class Function {
public:
  Function() = default;
  Function(const bigm_module *module, const std::string &name) : module(module) {
    index = bigm_module_find_function(module, name.c_str());
    if (index < 0)
      throw Error(BIGM_ERROR_NOT_FOUND, std::string("`") + bigm_module_name(module) + "` has no function `" + name + "`");
    about = BIGM_INIT(bigm_function_info);
    check(bigm_module_function(module, index, &about));
  }
  Function(const Module &module, const std::string &name) : Function(module.get(), name) {}
  int32_t number() const { return index; }
  const bigm_function_info &info() const { return about; }
  bigm_value_info input(int32_t i) const {
    bigm_value_info value = BIGM_INIT(bigm_value_info);
    check(bigm_function_input(module, index, i, &value));
    return value;
  }
  bigm_value_info output(int32_t i) const {
    bigm_value_info value = BIGM_INIT(bigm_value_info);
    check(bigm_function_output(module, index, i, &value));
    return value;
  }
  std::vector<int64_t> outputShape(int32_t i, const std::vector<int64_t> &dims) const {
    std::vector<int64_t> shape(size_t(output(i).rank));
    check(bigm_function_output_shape(module, index, i, needDims(dims), shape.data()));
    return shape;
  }
  std::vector<int64_t> inputShape(int32_t i, const std::vector<int64_t> &dims) const {
    std::vector<int64_t> shape(size_t(input(i).rank));
    check(bigm_function_input_shape(module, index, i, needDims(dims), shape.data()));
    return shape;
  }
  /// The symbols' values for inputs of these shapes; checks that they fit each other.
  std::vector<int64_t> solve(const std::vector<std::vector<int64_t>> &shapes) const {
    if (shapes.size() != size_t(about.input_count))
      throw Error(BIGM_ERROR_ARGUMENT, std::string("`") + about.name + "` takes " + std::to_string(about.input_count) +
                                           " inputs, and here are " + std::to_string(shapes.size()));
    std::vector<const int64_t *> pointers;
    for (size_t i = 0; i < shapes.size(); ++i) {
      if (shapes[i].size() != size_t(input(int32_t(i)).rank))
        throw Error(BIGM_ERROR_SHAPE, std::string("input `") + input(int32_t(i)).name + "` of `" + about.name + "` has " +
                                          std::to_string(input(int32_t(i)).rank) + " dimensions, and here " +
                                          std::to_string(shapes[i].size()));
      static const int64_t none = 0;
      pointers.push_back(shapes[i].empty() ? &none : shapes[i].data());
    }
    std::vector<int64_t> dims(size_t(about.symbol_count));
    check(bigm_function_solve(module, index, pointers.data(), dims.data()));
    return dims;
  }

private:
  const bigm_module *module = nullptr;
  int32_t index = -1;
  bigm_function_info about = {};
  const int64_t *needDims(const std::vector<int64_t> &dims) const {
    if (dims.size() != size_t(about.symbol_count))
      throw Error(BIGM_ERROR_ARGUMENT, std::string("`") + about.name + "` has " + std::to_string(about.symbol_count) +
                                           " symbols, and here are " + std::to_string(dims.size()) + " sizes");
    return dims.data();
  }
};

/// The persistent tensors of a program.
class Model {
public:
  Model() = default;
  explicit Model(const Module &module) {
    bigm_model *raw = nullptr;
    check(bigm_model_create(module.get(), &raw));
    handle = Handle(raw);
  }
  void load(const std::string &path) { check(bigm_model_load(get(), path.c_str(), nullptr)); }
  /// One part alone: `load("faces.detector", "better.safetensors")`.
  void load(const std::string &part, const std::string &path) {
    auto options = BIGM_INIT(bigm_load_options);
    options.part = part.c_str();
    check(bigm_model_load(get(), path.c_str(), &options));
  }
  void load(const std::string &path, const bigm_load_options &options) {
    check(bigm_model_load(get(), path.c_str(), &options));
  }
  void save(const std::string &path, uint32_t kinds = BIGM_KINDS_WEIGHTS) const {
    check(bigm_model_save(get(), path.c_str(), kinds));
  }
  /// A copy of a tensor; throws when its elements are no `T`.
  template <class T> std::vector<T> read(const std::string &name) const {
    auto [index, info] = find<T>(name);
    std::vector<T> values(size_t(info.bytes / sizeof(T)));
    check(bigm_model_read(get(), index, values.data(), info.bytes));
    return values;
  }
  template <class T> void write(const std::string &name, const std::vector<T> &values) {
    auto [index, info] = find<T>(name);
    check(bigm_model_write(get(), index, values.data(), values.size() * sizeof(T)));
  }
  const bigm_module *module() const { return bigm_model_module(get()); }
  bigm_model *get() const { return handle.get(); }

private:
  using Handle = detail::Handle<bigm_model, bigm_model_destroy>;
  Handle handle;
  template <class T> std::pair<int32_t, bigm_tensor_info> find(const std::string &name) const {
    static_assert(!std::is_same<T, bool>::value, "read booleans as uint8_t");
    int32_t index = bigm_module_find_tensor(module(), name.c_str());
    if (index < 0)
      throw Error(BIGM_ERROR_NOT_FOUND, "there is no tensor `" + name + "`");
    bigm_tensor_info info = BIGM_INIT(bigm_tensor_info);
    check(bigm_module_tensor(module(), index, &info));
    bool same = info.dtype == detail::Elem<T>::value || (info.dtype == BIGM_BOOL && sizeof(T) == 1);
    if (!same)
      throw Error(BIGM_ERROR_SHAPE, "`" + name + "` has elements " + bigm_dtype_name(info.dtype));
    return {index, info};
  }
};

/// The arguments of a call; make one, keep it, fill it again.
class Call {
public:
  explicit Call(const Function &function, std::vector<int64_t> dims = {})
      : sizes(std::move(dims)), inputs(size_t(function.info().input_count)), outputs(size_t(function.info().output_count)) {
    if (sizes.size() != size_t(function.info().symbol_count))
      throw Error(BIGM_ERROR_ARGUMENT, std::string("`") + function.info().name + "` has " +
                                           std::to_string(function.info().symbol_count) + " symbols, and here are " +
                                           std::to_string(sizes.size()) + " sizes");
    number = function.number();
  }
  Call &input(int32_t i, const void *data) {
    inputs.at(size_t(i)) = data;
    return *this;
  }
  /// An output that is not given is computed and dropped.
  Call &output(int32_t i, void *data) {
    outputs.at(size_t(i)) = data;
    return *this;
  }
  Call &dim(int32_t symbol, int64_t size) {
    sizes.at(size_t(symbol)) = size;
    return *this;
  }
  Call &seed(int64_t value) {
    seedValue = value;
    return *this;
  }
  /// Optimiser steps taken before this one, and how many there will be in all.
  Call &step(float taken, float inAll) {
    stepValue = taken;
    stepsValue = inAll;
    return *this;
  }
  bigm_call raw() const {
    bigm_call call = BIGM_INIT(bigm_call);
    call.function = number;
    call.dims = sizes.data();
    call.inputs = inputs.data();
    call.outputs = outputs.data();
    call.seed = seedValue;
    call.step = stepValue;
    call.steps = stepsValue;
    return call;
  }

private:
  int32_t number = -1;
  std::vector<int64_t> sizes;
  std::vector<const void *> inputs;
  std::vector<void *> outputs;
  int64_t seedValue = 0;
  float stepValue = 0, stepsValue = 1;
};

/// What one thread needs to run functions of a model.
class Context {
public:
  Context() = default;
  /// `threads`: 0 takes what the machine has.
  explicit Context(const Model &model, int32_t threads = 0) {
    bigm_context_options options = BIGM_INIT(bigm_context_options);
    options.threads = threads;
    bigm_context *raw = nullptr;
    check(bigm_context_create(model.get(), &options, &raw));
    handle = Handle(raw);
  }
  void run(const Call &call) {
    bigm_call raw = call.raw();
    check(bigm_run(get(), &raw));
  }
  void run(const bigm_call &call) { check(bigm_run(get(), &call)); }
  /// Sets the parameters and states of a train program (empty: the only one) from a seed.
  void init(int64_t seed, const std::string &train = {}) {
    check(bigm_init(get(), train.empty() ? nullptr : train.c_str(), seed));
  }
  int32_t threads() const { return bigm_context_threads(get()); }
  bigm_context *get() const { return handle.get(); }

private:
  using Handle = detail::Handle<bigm_context, bigm_context_destroy>;
  Handle handle;
};

} // namespace bigm
