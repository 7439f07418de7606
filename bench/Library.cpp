// Times one function of a library that `bigmc build` made, in turns, through its C ABI as an application calls it.
//
//   bench-library libSTEM.so FUNCTION THREADS DIMS [INPUT=LOW:HIGH ...]
//
// Weights are the program's initial ones under seed 1, inputs random: floats in [-1, 1), whole numbers in LOW..HIGH-1,
// labels below their number of classes. A line `turn SECONDS` on standard input gives one line on standard output,
// {"times_ms": [...]}: the wall time of each call of that turn after three untimed ones. A line `call` makes one call and gives nothing.
// Prints "ready" first.
#include "bigm/bigm.h"
#include <chrono>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace {
[[noreturn]] void stop(const std::string &text) {
  std::fprintf(stderr, "bench-library: %s\n", text.c_str());
  std::exit(1);
}

/// The library's own runtime: every function of the ABI that is used here.
struct Api {
  void *handle;
  template <class F> F *get(const char *name) const {
    void *symbol = dlsym(handle, name);
    if (!symbol)
      stop(std::string("the library has no `") + name + "`");
    return reinterpret_cast<F *>(symbol);
  }
};
#define CALL(name) api.get<decltype(name)>(#name)

std::vector<int64_t> numbers(const std::string &list) {
  std::vector<int64_t> out;
  std::stringstream in(list);
  for (std::string item; std::getline(in, item, ',');)
    out.push_back(std::stoll(item));
  return out;
}
} // namespace

int main(int argc, char **argv) {
  if (argc < 5)
    stop("usage: bench-library libSTEM.so FUNCTION THREADS DIMS [INPUT=LOW:HIGH ...]");
  Api api{dlopen(argv[1], RTLD_NOW)};
  if (!api.handle)
    stop(dlerror());
  auto need = [&](bigm_status status) {
    if (status != BIGM_OK)
      stop(CALL(bigm_last_error)());
  };
  std::map<std::string, std::pair<int64_t, int64_t>> ranges;
  for (int i = 5; i < argc; ++i) {
    std::string text = argv[i];
    size_t equal = text.find('='), colon = text.find(':');
    ranges[text.substr(0, equal)] = {std::stoll(text.substr(equal + 1)), std::stoll(text.substr(colon + 1))};
  }

  bigm_module *module = nullptr;
  bigm_model *model = nullptr;
  bigm_context *context = nullptr;
  need(CALL(bigm_module_open)(argv[1], nullptr, &module));
  need(CALL(bigm_model_create)(module, &model));
  auto options = BIGM_INIT(bigm_context_options);
  options.threads = std::atoi(argv[3]);
  need(CALL(bigm_context_create)(model, &options, &context));
  const std::string name = argv[2], program = name.substr(0, name.find('.'));
  need(CALL(bigm_init)(context, program.c_str(), 1));

  int32_t function = CALL(bigm_module_find_function)(module, name.c_str());
  if (function < 0)
    stop("the library has no function `" + name + "`");
  auto info = BIGM_INIT(bigm_function_info);
  need(CALL(bigm_module_function)(module, function, &info));
  std::vector<int64_t> dims = numbers(argv[4]);
  if (dims.size() < size_t(info.symbol_count))
    stop("`" + name + "` has " + std::to_string(info.symbol_count) + " open sizes");

  std::mt19937 random(1);
  std::vector<std::vector<char>> memory;
  std::vector<const void *> inputs;
  std::vector<void *> outputs;
  auto bytesOf = [&](const bigm_value_info &value, const std::vector<int64_t> &shape) {
    size_t bytes = CALL(bigm_dtype_size)(value.dtype);
    for (int64_t size : shape)
      bytes *= size_t(size);
    return bytes;
  };
  auto aligned = [&](size_t bytes) {
    memory.emplace_back(bytes + 64);
    char *at = memory.back().data();
    return at + (64 - reinterpret_cast<uintptr_t>(at) % 64) % 64;
  };
  for (int32_t i = 0; i < info.input_count; ++i) {
    auto value = BIGM_INIT(bigm_value_info);
    need(CALL(bigm_function_input)(module, function, i, &value));
    std::vector<int64_t> shape(size_t(value.rank));
    need(CALL(bigm_function_input_shape)(module, function, i, dims.data(), shape.data()));
    size_t bytes = bytesOf(value, shape);
    char *data = aligned(bytes);
    auto range = ranges.count(value.name) ? ranges[value.name] : std::pair<int64_t, int64_t>{0, std::max<int64_t>(value.classes, 2)};
    if (value.dtype == BIGM_F32) {
      for (size_t k = 0; k < bytes / 4; ++k)
        reinterpret_cast<float *>(data)[k] = std::uniform_real_distribution<float>(-1, 1)(random);
    } else if (value.dtype == BIGM_BF16) {
      for (size_t k = 0; k < bytes / 2; ++k) {
        float x = std::uniform_real_distribution<float>(-1, 1)(random);
        std::memcpy(data + 2 * k, reinterpret_cast<const char *>(&x) + 2, 2); // the upper half of an f32
      }
    } else if (value.dtype == BIGM_I32 || value.dtype == BIGM_I64) {
      std::uniform_int_distribution<int64_t> whole(range.first, range.second - 1);
      for (size_t k = 0; k < bytes / (value.dtype == BIGM_I32 ? 4 : 8); ++k)
        if (value.dtype == BIGM_I32)
          reinterpret_cast<int32_t *>(data)[k] = int32_t(whole(random));
        else
          reinterpret_cast<int64_t *>(data)[k] = whole(random);
    } else {
      stop(std::string("no random numbers for input `") + value.name + "`");
    }
    inputs.push_back(data);
  }
  for (int32_t i = 0; i < info.output_count; ++i) {
    auto value = BIGM_INIT(bigm_value_info);
    need(CALL(bigm_function_output)(module, function, i, &value));
    std::vector<int64_t> shape(size_t(value.rank));
    need(CALL(bigm_function_output_shape)(module, function, i, dims.data(), shape.data()));
    outputs.push_back(aligned(bytesOf(value, shape)));
  }

  auto call = BIGM_INIT(bigm_call);
  call.function = function;
  call.dims = dims.data();
  call.inputs = inputs.data();
  call.outputs = outputs.data();
  call.steps = 1e6f;
  auto *run = CALL(bigm_run);
  auto once = [&] {
    need(run(context, &call));
    call.step += 1;
    call.seed += 1;
  };
  std::puts("ready");
  std::fflush(stdout);
  using Clock = std::chrono::steady_clock;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "call") {
      once();
      continue;
    }
    double seconds = std::stod(line.substr(line.find(' ') + 1));
    for (int i = 0; i < 3; ++i)
      once();
    std::string out = "{\"times_ms\": [";
    auto end = Clock::now() + std::chrono::duration<double>(seconds);
    char text[32];
    for (int n = 0; n < 3 || Clock::now() < end; ++n) {
      auto start = Clock::now();
      once();
      std::snprintf(text, sizeof text, "%s%.6f", n ? ", " : "",
                    std::chrono::duration<double, std::milli>(Clock::now() - start).count());
      out += text;
    }
    std::puts((out + "]}").c_str());
    std::fflush(stdout);
  }
  CALL(bigm_context_destroy)(context);
  CALL(bigm_model_destroy)(model);
  CALL(bigm_module_destroy)(module);
}
