#include "Session.h"
#include "runtime/data/Error.h"
#include <cmath>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <unordered_map>

namespace bigm::driver {

void expect(bigm_status status) {
  if (status == BIGM_OK)
    return;
  if (status == BIGM_ERROR_INTERNAL || status == BIGM_ERROR_ARGUMENT)
    throw std::runtime_error(fmt::format("bug in bigmc: {}", bigm_last_error()));
  throw data::Error(bigm_last_error());
}

namespace {

/// What a call of a function needs to know, looked up once.
struct Bound {
  int32_t number = -1;
  struct Value {
    std::string name;
    int32_t dtype = 0, rank = 0;
  };
  std::vector<Value> inputs, outputs;
  int32_t symbols = 0;
};

Bound bind(const bigm_module *module, const std::string &name) {
  Bound b;
  b.number = bigm_module_find_function(module, name.c_str());
  if (b.number < 0)
    throw std::runtime_error(fmt::format("bug in bigmc: the module has no function `{}`", name));
  auto info = BIGM_INIT(bigm_function_info);
  expect(bigm_module_function(module, b.number, &info));
  b.symbols = info.symbol_count;
  auto value = BIGM_INIT(bigm_value_info);
  for (int32_t i = 0; i < info.input_count; ++i) {
    expect(bigm_function_input(module, b.number, i, &value));
    b.inputs.push_back({value.name, value.dtype, value.rank});
  }
  for (int32_t i = 0; i < info.output_count; ++i) {
    expect(bigm_function_output(module, b.number, i, &value));
    b.outputs.push_back({value.name, value.dtype, value.rank});
  }
  return b;
}

struct ModelFree {
  void operator()(bigm_model *m) const { bigm_model_destroy(m); }
};
struct ContextFree {
  void operator()(bigm_context *c) const { bigm_context_destroy(c); }
};
using Model = std::unique_ptr<bigm_model, ModelFree>;
using Context = std::unique_ptr<bigm_context, ContextFree>;

Model newModel(const bigm_module *module) {
  bigm_model *m = nullptr;
  expect(bigm_model_create(module, &m));
  return Model(m);
}
Context newContext(bigm_model *model, int threads) {
  auto options = BIGM_INIT(bigm_context_options);
  options.threads = threads;
  bigm_context *c = nullptr;
  expect(bigm_context_create(model, &options, &c));
  return Context(c);
}

} // namespace

struct Session::State {
  const bigm_module *module;
  Program program;
  std::vector<std::pair<std::string, std::string>> named;
  Model model, fitted; // `fitted` is what the lanes read
  Context main;
  std::vector<Context> lanes;
  std::mutex mutex; // of `bound`
  std::unordered_map<std::string, Bound> bound;

  const Bound &lookUp(const std::string &function) {
    std::lock_guard lock(mutex);
    auto found = bound.find(function);
    if (found == bound.end())
      found = bound.emplace(function, bind(module, function)).first;
    return found->second; // references into an unordered_map stay valid
  }
};

Session::Session(const bigm_module *module, int threads) : state(std::make_unique<State>()) {
  uint64_t size = 0;
  const char *manifest = bigm_module_manifest(module, &size);
  state->module = module;
  state->program = parseProgram({manifest, size});
  state->model = newModel(module);
  state->main = newContext(state->model.get(), threads);
}
Session::~Session() = default;

const Program &Session::program() const { return state->program; }
void Session::nameClasses(const std::string &data, const std::string &field, std::vector<std::string> names) {
  for (auto &d : state->program.data)
    for (auto &f : d.fields)
      if (d.name == data && f.name == field) {
        f.labels = std::move(names);
        state->named.emplace_back(data, field);
        return;
      }
}
const std::vector<std::pair<std::string, std::string>> &Session::namedByData() const { return state->named; }
bigm_model *Session::model() { return state->model.get(); }
int Session::threads() const { return bigm_context_threads(state->main.get()); }

Values Session::run(const std::string &function, const data::Batch &batch, const Call &call, int lane) {
  const Bound &b = state->lookUp(function);
  std::vector<const void *> inputs;
  std::vector<const int64_t *> shapes;
  for (auto &in : b.inputs) {
    auto found = batch.fields.find(in.name);
    if (found == batch.fields.end())
      throw std::runtime_error(fmt::format("bug in bigmc: `{}` reads `{}`, which its data does not give", function, in.name));
    const data::Tensor &t = found->second;
    if (int32_t(t.elem) != in.dtype || int32_t(t.shape.size()) != in.rank)
      throw std::runtime_error(fmt::format("bug in bigmc: `{}` reads `{}` as {} of rank {}, and its data gives {}{}", function,
                                           in.name, bigm_dtype_name(in.dtype), in.rank, data::name(t.elem),
                                           data::shapeText(t.shape)));
    inputs.push_back(t.bytes.data());
    shapes.push_back(t.shape.data());
  }
  std::vector<int64_t> dims(static_cast<size_t>(b.symbols), 1);
  expect(bigm_function_solve(state->module, b.number, shapes.data(), dims.data()));
  Values values;
  std::vector<void *> outputs;
  for (size_t i = 0; i < b.outputs.size(); ++i) {
    std::vector<int64_t> shape(static_cast<size_t>(b.outputs[i].rank));
    expect(bigm_function_output_shape(state->module, b.number, int32_t(i), dims.data(), shape.data()));
    auto &t = values[b.outputs[i].name] = data::Tensor(data::Elem(b.outputs[i].dtype), std::move(shape));
    outputs.push_back(t.bytes.data());
  }
  auto request = BIGM_INIT(bigm_call);
  request.function = b.number;
  request.dims = dims.data();
  request.inputs = inputs.data();
  request.outputs = outputs.data();
  request.seed = int64_t(call.seed);
  request.step = call.step;
  request.steps = call.steps;
  expect(bigm_run(lane < 0 ? state->main.get() : state->lanes.at(size_t(lane)).get(), &request));
  return values;
}

Values Session::none(const std::string &function) {
  const Bound &b = state->lookUp(function);
  std::vector<int64_t> dims(static_cast<size_t>(b.symbols), 1);
  Values values;
  for (size_t i = 0; i < b.outputs.size(); ++i) {
    std::vector<int64_t> shape(static_cast<size_t>(b.outputs[i].rank));
    expect(bigm_function_output_shape(state->module, b.number, int32_t(i), dims.data(), shape.data()));
    if (!shape.empty())
      shape[0] = 0;
    values[b.outputs[i].name] = data::Tensor(data::Elem(b.outputs[i].dtype), std::move(shape));
  }
  return values;
}

void Session::initialise(const std::string &train, uint64_t seed) {
  expect(bigm_init(state->main.get(), train.c_str(), int64_t(seed)));
}

void Session::openLanes(int count) {
  if (!state->fitted)
    state->fitted = newModel(state->module);
  for (size_t i = 0; i < state->program.tensors.size(); ++i) {
    auto &t = state->program.tensors[i];
    if (t.kind == "fit")
      expect(bigm_model_write(state->fitted.get(), int32_t(i), bigm_model_data(model(), int32_t(i)),
                              uint64_t(data::product(t.shape)) * data::sizeOf(t.elem)));
  }
  while (int(state->lanes.size()) < count)
    state->lanes.push_back(newContext(state->fitted.get(), 1));
}

void Session::prepare(const std::string &function, data::Batch &batch, const Call &call, int lane) {
  if (function.empty())
    return;
  for (auto &[name, tensor] : run(function, batch, call, lane))
    batch.fields[name] = std::move(tensor);
}

std::vector<std::string> Session::nonFinite(const std::string &kind) {
  std::vector<std::string> names;
  for (size_t i = 0; i < state->program.tensors.size(); ++i) {
    auto &t = state->program.tensors[i];
    if (t.kind == kind && firstNonFinite(t.elem, bigm_model_data(model(), int32_t(i)), data::product(t.shape)))
      names.push_back(t.name);
  }
  return names;
}

std::optional<int64_t> firstNonFinite(data::Elem elem, const void *values, int64_t count) {
  auto search = [&]<class T>(const T *v, auto bad) -> std::optional<int64_t> {
    for (int64_t i = 0; i < count; ++i)
      if (bad(v[i]))
        return i;
    return std::nullopt;
  };
  switch (elem) {
  case data::Elem::F32:
    return search(static_cast<const float *>(values), [](float v) { return !std::isfinite(v); });
  case data::Elem::F64:
    return search(static_cast<const double *>(values), [](double v) { return !std::isfinite(v); });
  case data::Elem::BF16:
    return search(static_cast<const uint16_t *>(values), [](uint16_t v) { return (v & 0x7f80) == 0x7f80; });
  case data::Elem::F16:
    return search(static_cast<const uint16_t *>(values), [](uint16_t v) { return (v & 0x7c00) == 0x7c00; });
  default:
    return std::nullopt;
  }
}

double scalarOf(const data::Tensor &tensor) {
  double sum = 0;
  int64_t n = tensor.count();
  if (n == 1 && tensor.elem == data::Elem::F32)
    return plain(tensor.as<float>()[0]);
  for (int64_t i = 0; i < n; ++i)
    switch (tensor.elem) {
    case data::Elem::F32: sum += tensor.as<float>()[i]; break;
    case data::Elem::F64: sum += tensor.as<double>()[i]; break;
    case data::Elem::BF16: sum += rt::fromBrain(tensor.as<uint16_t>()[i]); break;
    case data::Elem::I64: sum += double(tensor.as<int64_t>()[i]); break;
    case data::Elem::I32: sum += tensor.as<int32_t>()[i]; break;
    default: sum += tensor.as<uint8_t>()[i]; break;
    }
  return n ? sum / double(n) : 0;
}

} // namespace bigm::driver
