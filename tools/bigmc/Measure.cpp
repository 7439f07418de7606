#include "Measure.h"
#include "Compiler.h"
#include "runtime/include/bigm/bigm.h"
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <random>

namespace {
using Clock = std::chrono::steady_clock;
/// Of the call that runs: one at a time, on the thread that called.
struct {
  std::vector<std::vector<double>> seconds; // by kernel, one number a call
  Clock::time_point since;
  int64_t running = -1;
} trace;
} // namespace

/// An entry is about to run a kernel; -1: it has run the last.
extern "C" __attribute__((visibility("default"), used)) void bigm_rt_mark(int64_t kernel) {
  auto now = Clock::now();
  if (trace.running >= 0 && size_t(trace.running) < trace.seconds.size())
    trace.seconds[size_t(trace.running)].push_back(std::chrono::duration<double>(now - trace.since).count());
  trace.running = kernel;
  trace.since = Clock::now();
}

namespace bigm::tool {

Measurement::~Measurement() { bigm_context_destroy(context), bigm_model_destroy(model); }

std::string Measurement::open(const bigm_module *module, const mlir::bigm::cpu::FunctionReport &report,
                              const MeasureOptions &options) {
  auto failed = [](bigm_status status) { return status != BIGM_OK; };
  auto contextOptions = BIGM_INIT(bigm_context_options);
  contextOptions.threads = options.threads;
  if (failed(bigm_model_create(module, &model)) || failed(bigm_context_create(model, &contextOptions, &context)))
    return bigm_last_error();
  if (!options.run.empty()) {
    if (failed(bigm_model_load(model, (std::filesystem::path(options.run) / "weights.safetensors").c_str(), nullptr)))
      return bigm_last_error();
  } else {
    const std::string train = report.name.substr(0, report.name.find('.'));
    (void)bigm_init(context, train.c_str(), 1); // functions of data have no weights to set
  }

  function = bigm_module_find_function(module, report.name.c_str());
  auto info = BIGM_INIT(bigm_function_info);
  if (function < 0 || failed(bigm_module_function(module, function, &info)))
    return bigm_last_error();
  for (const auto &size : report.sizes)
    dims.push_back(size.second);
  std::mt19937 generator(1);
  auto shapeBytes = [](const bigm_value_info &value, const std::vector<int64_t> &shape) {
    size_t bytes = bigm_dtype_size(value.dtype);
    for (int64_t size : shape)
      bytes *= size_t(size);
    return bytes;
  };
  for (int32_t i = 0; i < info.input_count; ++i) {
    auto value = BIGM_INIT(bigm_value_info);
    std::vector<int64_t> shape(16);
    if (failed(bigm_function_input(module, function, i, &value)) ||
        failed(bigm_function_input_shape(module, function, i, dims.data(), shape.data())))
      return bigm_last_error();
    shape.resize(size_t(value.rank));
    size_t bytes = shapeBytes(value, shape);
    memory.emplace_back(bytes / 8 + 1);
    auto *data = reinterpret_cast<char *>(memory.back().data());
    inputs.push_back(data);
    // Whole numbers stay 0 where nothing says how large they may be: as an index 0 is always good.
    if (value.dtype == BIGM_F32)
      for (size_t k = 0; k < bytes / 4; ++k)
        reinterpret_cast<float *>(data)[k] = std::uniform_real_distribution<float>(-1, 1)(generator);
    else if (value.dtype == BIGM_I32 && value.classes > 1)
      for (size_t k = 0; k < bytes / 4; ++k)
        reinterpret_cast<int32_t *>(data)[k] = int32_t(generator() % uint64_t(value.classes));
  }
  for (const GenerateProgram &writer : options.writers)
    if (report.name == writer.prefill || report.name == writer.decode)
      fillLengths(writer, module);
  for (int32_t i = 0; i < info.output_count; ++i) {
    auto value = BIGM_INIT(bigm_value_info);
    std::vector<int64_t> shape(16);
    if (failed(bigm_function_output(module, function, i, &value)) ||
        failed(bigm_function_output_shape(module, function, i, dims.data(), shape.data())))
      return bigm_last_error();
    shape.resize(size_t(value.rank));
    memory.emplace_back(shapeBytes(value, shape) / 8 + 1);
    outputs.push_back(memory.back().data());
  }
  seconds.assign(report.kernels.size(), {});
  for (int i = 0; i < 2; ++i)
    if (!once()) // the first also prepares weights
      return bigm_last_error();
  return "";
}

// Every token counts, as many came before as there is room for, and each sequence has rows of its own.
void Measurement::fillLengths(const GenerateProgram &writer, const bigm_module *module) {
  std::map<std::string, std::pair<int32_t *, std::vector<int64_t>>> named;
  for (size_t i = 0; i < inputs.size(); ++i) {
    auto value = BIGM_INIT(bigm_value_info);
    std::vector<int64_t> shape(16);
    if (bigm_function_input(module, function, int32_t(i), &value) == BIGM_OK &&
        bigm_function_input_shape(module, function, int32_t(i), dims.data(), shape.data()) == BIGM_OK)
      named[value.name] = {reinterpret_cast<int32_t *>(memory[i].data()), shape};
  }
  int64_t sequences = named[writer.ids].second[0], tokens = named[writer.ids].second[1];
  std::fill_n(named["count"].first, sequences, int32_t(tokens));
  auto past = named.find("past");
  if (past == named.end())
    return;
  const std::vector<int64_t> &kept = named["cache.0.k"].second;
  int64_t room = writer.positions ? std::clamp<int64_t>(writer.positions - tokens, 0, kept[1]) : kept[1];
  std::fill_n(past->second.first, sequences, int32_t(room));
  for (int64_t n = 0; n < sequences; ++n)
    named["slot"].first[n] = int32_t(n % kept[0]);
}

bool Measurement::once() {
  auto call = BIGM_INIT(bigm_call);
  call.function = function;
  call.dims = dims.data();
  call.inputs = inputs.data();
  call.outputs = outputs.data();
  call.steps = 1e6f;
  call.seed = ++calls, call.step = float(calls);
  return bigm_run(context, &call) == BIGM_OK;
}

std::string Measurement::turn(double length, int least) {
  std::swap(trace.seconds, seconds);
  auto end = Clock::now() + std::chrono::duration<double>(length);
  bool good = true;
  for (int n = 0; good && (n < least || Clock::now() < end); ++n)
    good = once();
  std::swap(trace.seconds, seconds);
  return good ? "" : bigm_last_error();
}

KernelTimes Measurement::times() const {
  KernelTimes times;
  for (std::vector<double> all : seconds) {
    std::sort(all.begin(), all.end());
    times.median.push_back(all.empty() ? 0 : all[all.size() / 2]);
    times.least.push_back(all.empty() ? 0 : all.front());
  }
  return times;
}

const mlir::bigm::cpu::FunctionReport *functionToMeasure(const Compiled &compiled, const bigm_module *module,
                                                         const std::string &prefix) {
  const mlir::bigm::cpu::FunctionReport *report = nullptr;
  double most = -1;
  for (const auto &candidate : compiled.reports) {
    if (candidate.name.rfind(prefix, 0) != 0 || bigm_module_find_function(module, candidate.name.c_str()) < 0)
      continue;
    double flops = candidate.name == prefix ? 1e300 : 0;
    for (const auto &kernel : candidate.kernels)
      flops += kernel.flops;
    if (flops > most)
      most = flops, report = &candidate;
  }
  return report;
}

std::string noSuchFunction(const std::string &prefix, const std::string &file) {
  return "no function's name starts with `" + prefix + "`; `bigmc emit " + file + " --stage types` lists them";
}

} // namespace bigm::tool
