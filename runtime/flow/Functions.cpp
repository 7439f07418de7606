#include "Functions.h"
#include "runtime/data/Error.h"
#include <functional>
#include <memory>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <stdexcept>

namespace bigm::flow {

void expect(bigm_status status) {
  if (status == BIGM_OK)
    return;
  if (status == BIGM_ERROR_INTERNAL || status == BIGM_ERROR_ARGUMENT)
    throw std::runtime_error(fmt::format("bug in bigmc: {}", bigm_last_error()));
  throw data::Error(bigm_last_error());
}

Functions::Bound Functions::bind(const std::string &name) const {
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

const Functions::Bound &Functions::lookUp(const std::string &function) {
  std::lock_guard lock(mutex);
  auto found = bound.find(function);
  if (found == bound.end())
    found = bound.emplace(function, bind(function)).first;
  return found->second; // references into an unordered_map stay valid
}

Values Functions::run(bigm_context *context, const std::string &function, const data::Batch &batch, const Call &call) {
  const Bound &b = lookUp(function);
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
  expect(bigm_function_solve(module, b.number, shapes.data(), dims.data()));
  Values values;
  std::vector<void *> outputs;
  for (size_t i = 0; i < b.outputs.size(); ++i) {
    std::vector<int64_t> shape(static_cast<size_t>(b.outputs[i].rank));
    expect(bigm_function_output_shape(module, b.number, int32_t(i), dims.data(), shape.data()));
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
  expect(bigm_run(context, &request));
  return values;
}

Values Functions::none(const std::string &function) {
  const Bound &b = lookUp(function);
  std::vector<int64_t> dims(static_cast<size_t>(b.symbols), 1);
  Values values;
  for (size_t i = 0; i < b.outputs.size(); ++i) {
    std::vector<int64_t> shape(static_cast<size_t>(b.outputs[i].rank));
    expect(bigm_function_output_shape(module, b.number, int32_t(i), dims.data(), shape.data()));
    if (!shape.empty())
      shape[0] = 0;
    values[b.outputs[i].name] = data::Tensor(data::Elem(b.outputs[i].dtype), std::move(shape));
  }
  return values;
}

double Functions::scalar(bigm_model *model, const std::string &name) const {
  int32_t tensor = bigm_module_find_tensor(module, name.c_str());
  const void *value = tensor < 0 ? nullptr : bigm_model_data(model, tensor);
  if (!value)
    throw std::runtime_error(fmt::format("bug in bigmc: the module has no setting `{}`", name));
  return *static_cast<const float *>(value);
}

namespace {

/// A context of one thread for each thread of an arena, made when that thread first has a part to do. Parts of a list need
/// nothing of each other, so no thread waits for others at the end of every kernel, as those of one call do.
class SideBySide {
public:
  SideBySide(Functions &functions, bigm_model *model, int threads) : functions(functions), model(model), arena(threads), contexts(size_t(threads)) {}
  ~SideBySide() {
    for (bigm_context *context : contexts)
      bigm_context_destroy(context);
  }
  SideBySide(const SideBySide &) = delete;

  void run(size_t parts, const std::function<void(size_t, const Caller &)> &body) {
    arena.execute([&] {
      tbb::parallel_for(size_t(0), parts, [&](size_t part) {
        // Only this thread has the number, and nothing that a part does lets it take up another.
        bigm_context *&context = contexts.at(size_t(tbb::this_task_arena::current_thread_index()));
        if (!context) {
          auto options = BIGM_INIT(bigm_context_options);
          options.threads = 1;
          expect(bigm_context_create(model, &options, &context));
        }
        body(part, [&](const std::string &function, const data::Batch &batch) { return functions.run(context, function, batch, {}); });
      }, tbb::simple_partitioner());
    });
  }

private:
  Functions &functions;
  bigm_model *model;
  tbb::task_arena arena;
  std::vector<bigm_context *> contexts;
};

} // namespace

Surroundings surroundingsOf(Functions &functions, bigm_model *model, bigm_context *context, generate::Engines &engines) {
  Surroundings around;
  around.setting = [&functions, model](const std::string &name) { return functions.scalar(model, name); };
  around.call = [&functions, context](const std::string &function, const data::Batch &batch) { return functions.run(context, function, batch, {}); };
  around.none = [&functions](const std::string &function) { return functions.none(function); };
  around.picture = [](const std::string &path) { return std::make_shared<const data::Picture>(data::readPicture(path)); };
  around.engine = [&engines](const std::string &name, int64_t positions, int64_t slots) -> generate::Engine & {
    return engines.at(name, positions, slots);
  };
  around.threads = bigm_context_threads(context);
  if (around.threads > 1)
    around.inParts = [all = std::make_shared<SideBySide>(functions, model, around.threads)](size_t parts, const auto &body) { all->run(parts, body); };
  return around;
}

} // namespace bigm::flow
