#include "Session.h"
#include "runtime/data/Error.h"
#include <cmath>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <unordered_map>

namespace bigm::driver {

namespace {

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
  std::unique_ptr<flow::Functions> functions;
};

Session::Session(const bigm_module *module, int threads) : state(std::make_unique<State>()) {
  uint64_t size = 0;
  const char *manifest = bigm_module_manifest(module, &size);
  state->module = module;
  state->functions = std::make_unique<flow::Functions>(module);
  state->program = parseProgram({manifest, size});
  state->model = newModel(module);
  state->main = newContext(state->model.get(), threads);
}
Session::~Session() = default;

const Program &Session::program() const { return state->program; }
void Session::nameClasses(const std::string &data, const std::string &field, std::vector<std::string> names) {
  for (auto &d : state->program.data)
    for (auto &[name, f] : data::classesOf(d.fields))
      if (d.name == data && name == field) {
        f->labels = std::move(names);
        state->named.emplace_back(data, field);
        return;
      }
}
const std::vector<std::pair<std::string, std::string>> &Session::namedByData() const { return state->named; }
bigm_model *Session::model() { return state->model.get(); }
int Session::threads() const { return bigm_context_threads(state->main.get()); }

Values Session::run(const std::string &function, const data::Batch &batch, const Call &call, int lane) {
  return state->functions->run(lane < 0 ? state->main.get() : state->lanes.at(size_t(lane)).get(), function, batch, call);
}

bigm_context *Session::context() { return state->main.get(); }
flow::Functions &Session::functions() { return *state->functions; }

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
