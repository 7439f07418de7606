#include "Harness.h"
#include "backends/cpu/Target.h"
#include "bigm/kernels.h"
#include "ir/Bigm.h"
#include "ir/Dims.h"
#include "mlir/Parser/Parser.h"
#include "passes/Kernel.h"
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <numeric>
#include <gtest/gtest.h>
#include <random>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

using namespace mlir;
using mlir::bigm::ref::Tensor;
namespace fs = std::filesystem;

// ---------------------------------------------------------------- the runtime, as the entries see it

static int threadCount = 1;
/// Seconds by kernel, one number for each launch, for the profile.
static std::map<void *, std::vector<double>> spent;

namespace {
/// Threads that wait for the next loop without sleeping: starting a thread costs more than most kernels.
class Pool {
public:
  ~Pool() {
    stop = true;
    for (std::thread &thread : threads)
      thread.join();
  }
  void loop(int parts, const std::function<void(int)> &part) {
    while (int(threads.size()) + 1 < parts)
      threads.emplace_back([this, own = int(threads.size()) + 1, seen = round.load()]() mutable { work(own, seen); });
    left = int(threads.size());
    body = &part, count = parts;
    ++round;
    part(0);
    while (left)
      std::this_thread::yield();
  }

private:
  void work(int own, int seen) {
    while (!stop) {
      if (round == seen) {
        std::this_thread::yield();
        continue;
      }
      ++seen;
      if (own < count)
        (*body)(own);
      --left;
    }
  }
  std::vector<std::thread> threads;
  std::atomic<int> round = 0, left = 0;
  std::atomic<bool> stop = false;
  const std::function<void(int)> *body = nullptr;
  int count = 0;
};
} // namespace

static void parallelFor(int64_t count, void (*body)(void *, int64_t, int64_t), void *closure) {
  if (threadCount == 1)
    return body(closure, 0, count);
  static Pool pool;
  pool.loop(threadCount,
            [&](int i) { body(closure, count * i / threadCount, count * (i + 1) / threadCount); });
}

extern "C" void bigm_rt_parallel_for(void *, int64_t count, int64_t, void (*body)(void *, int64_t, int64_t),
                                     void *closure) {
  // On one thread its processor time, which other programs on the machine do not change.
  auto now = [] {
    timespec time;
    clock_gettime(threadCount == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
  };
  double start = now();
  parallelFor(count, body, closure);
  spent[reinterpret_cast<void *>(body)].push_back(now() - start);
}

static Tensor imageOf(const float *data, std::vector<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return {shape, std::vector<double>(data, data + count)};
}
extern "C" void bigm_rt_warp_f32(void *, const float *image, const float *matrix, float *out, int64_t n, int64_t c,
                                 int64_t h, int64_t w, int64_t out_h, int64_t out_w, float fill) {
  Tensor result = mlir::bigm::ref::warp(imageOf(image, {n, c, h, w}), imageOf(matrix, {n, 2, 3}), {n, c, out_h, out_w}, fill);
  std::copy(result.data.begin(), result.data.end(), out);
}
extern "C" void bigm_rt_resize_f32(void *, const float *image, float *out, int64_t n, int64_t c, int64_t h, int64_t w,
                                   int64_t out_h, int64_t out_w, int32_t mode, int32_t antialias) {
  const char *modes[] = {"nearest", "bilinear", "bicubic", "area"};
  Tensor result = mlir::bigm::ref::resize(imageOf(image, {n, c, h, w}), {n, c, out_h, out_w}, modes[mode], antialias);
  std::copy(result.data.begin(), result.data.end(), out);
}

// ---------------------------------------------------------------- numbers in memory

namespace {
int64_t evaluate(AffineExpr expr, const std::vector<int64_t> &symbols) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return symbols[symbol.getPosition()];
  auto binary = cast<AffineBinaryOpExpr>(expr);
  int64_t a = evaluate(binary.getLHS(), symbols), b = evaluate(binary.getRHS(), symbols);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return a + b;
  case AffineExprKind::Mul:
    return a * b;
  case AffineExprKind::FloorDiv:
    return llvm::divideFloorSigned(a, b);
  default:
    return a % b;
  }
}
std::vector<int64_t> shapeOf(Type type, const std::vector<int64_t> &symbols) {
  std::vector<int64_t> shape;
  for (AffineExpr size : mlir::bigm::sizesOf(type))
    shape.push_back(evaluate(size, symbols));
  return shape;
}
int64_t countOf(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    count *= size;
  return count;
}
/// A 16-bit float; the compiler's own types would need functions that its library may not have.
template <const llvm::fltSemantics &(*kind)()> struct Narrow {
  uint16_t bits = 0;
  Narrow() = default;
  explicit Narrow(double x) {
    APFloat number(x);
    bool loses;
    number.convert(kind(), APFloat::rmNearestTiesToEven, &loses);
    bits = uint16_t(number.bitcastToAPInt().getZExtValue());
  }
  explicit operator double() const {
    APFloat number(kind(), APInt(16, bits));
    bool loses;
    number.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &loses);
    return number.convertToDouble();
  }
};

template <class T> void put(char *to, const std::vector<double> &from) {
  for (size_t i = 0; i < from.size(); ++i) {
    T value = T(from[i]);
    std::memcpy(to + i * sizeof(T), &value, sizeof(T));
  }
}
template <class T> void get(const char *from, std::vector<double> &to) {
  for (size_t i = 0; i < to.size(); ++i) {
    T value;
    std::memcpy(&value, from + i * sizeof(T), sizeof(T));
    to[i] = double(value);
  }
}
template <class Visit> void withType(Type element, Visit visit) {
  if (element.isF32())
    visit(float());
  else if (element.isF64())
    visit(double());
  else if (element.isBF16())
    visit(Narrow<APFloat::BFloat>());
  else if (element.isF16())
    visit(Narrow<APFloat::IEEEhalf>());
  else if (element.isInteger(64))
    visit(int64_t());
  else if (element.isInteger(32))
    visit(int32_t());
  else if (element.isUnsignedInteger(8) || element.isInteger(1))
    visit(uint8_t());
  else
    visit(int8_t());
}
Type elementOf(Type type) { return cast<RankedTensorType>(type).getElementType(); }
} // namespace

namespace bigm::test {

std::unique_ptr<MLIRContext> makeContext() {
  DialectRegistry registry;
  mlir::bigm::cpu::registerDialects(registry);
  registry.insert<mlir::bigm::BigmDialect>();
  auto context = std::make_unique<MLIRContext>(registry);
  context->loadAllAvailableDialects();
  return context;
}

/// Whether this machine runs code for the target; otherwise it is emulated.
static bool hostRuns(const std::string &target) {
  auto of = [](const std::string &name) { return mlir::bigm::cpu::featuresOf(*mlir::bigm::cpu::parseTarget(name)); };
  static const std::vector<std::string> host = of("host");
  std::vector<std::string> needed = of(target);
  return std::includes(host.begin(), host.end(), needed.begin(), needed.end());
}

Loaded::Loaded(MLIRContext &context, const std::string &text, const std::string &target,
               const mlir::bigm::cpu::Tuning *tuning) {
  module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return;
  mlir::bigm::cpu::CpuOptions options;
  options.target = target;
  options.emulate = target != "host" && !hostRuns(target);
  options.stem = "test";
  options.verify = true;
  options.tuning = tuning;
  options.explain = tuning != nullptr;
  code = mlir::bigm::cpu::CpuModule::lower(*module, options);
  std::vector<mlir::bigm::cpu::ObjectFile> objects;
  if (!code || failed(code->emitObjects(objects)) ||
      failed(mlir::bigm::cpu::emitExports("test", code->entries(), "{}", objects.emplace_back())))
    return;
  char folder[] = "/tmp/bigm-cpu-XXXXXX";
  if (!mkdtemp(folder))
    return;
  fs::path dir = folder;
  for (const auto &object : objects)
    std::ofstream(dir / object.name, std::ios::binary) << object.bytes;
  std::string link = "cd " + dir.string() + " && ld.lld-22 -shared -o test.so *.o";
  syscall(SYS_arch_prctl, 0x1023, 18); // the tile registers of AMX, as runtime/core/Cpu.cpp asks for them
  if (std::system(link.c_str()) == 0)
    library = dlopen((dir / "test.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    ADD_FAILURE() << "the object does not load: " << dlerror();
  else
    entries = static_cast<decltype(entries)>(dlsym(library, "test_bigm_entries")), entry = *entries;
  if (const char *keep = std::getenv("BIGM_CPU_KEEP"))
    fs::copy_file(dir / "test.so", keep, fs::copy_options::overwrite_existing);
  fs::remove_all(dir);
}

Loaded::~Loaded() {
  if (library)
    dlclose(library);
}

func::FuncOp Loaded::function() { return *module->getOps<func::FuncOp>().begin(); }

int64_t Loaded::arenaBytes(const std::vector<int64_t> &symbols) const {
  int64_t total = 0;
  const mlir::bigm::cpu::EntryPlan &plan = code->plan()[0];
  for (auto &term : plan.arena) {
    int64_t bytes = term.bytes;
    for (unsigned symbol : term.of)
      bytes *= plan.leastSizes.empty() ? symbols[symbol] : std::max(symbols[symbol], plan.leastSizes[symbol]);
    total += bytes;
  }
  return total;
}

int Loaded::call(const std::vector<int64_t> &symbols, const std::vector<void *> &buffers, int threads) {
  size_t bytes = arenaBytes(symbols);
  arena.assign(bytes + 192, 0x7f);
  char *aligned = arena.data() + (64 - reinterpret_cast<uintptr_t>(arena.data()) % 64) % 64;
  threadCount = threads;
  int status = entry(nullptr, symbols.data(), buffers.data(), aligned);
  for (size_t i = bytes; i < bytes + 64; ++i)
    EXPECT_EQ(aligned[i], 0x7f) << "wrote behind the arena";
  return status;
}

/// Computes the prepared values from the tensors among the arguments, as the runtime does when weights have changed, and
/// puts their memory into the places that are for them.
void Loaded::prepare(std::vector<void *> &buffers) {
  if (!code->preparePlan())
    return;
  prepared.clear();
  for (int64_t bytes : code->preparedBytes())
    prepared.emplace_back().bytes.assign(bytes + 128, 0x55);
  std::map<int64_t, void *> tensors;
  auto &plan = code->plan()[0];
  for (auto [i, argument] : llvm::enumerate(plan.arguments))
    if (argument.prepared >= 0)
      buffers[i] = prepared[argument.prepared].data();
    else if (auto tensor = argument.argument < 0 ? IntegerAttr()
                                                 : function().getArgAttrOfType<IntegerAttr>(argument.argument, "bigm.tensor"))
      tensors[tensor.getInt()] = buffers[i];
  std::vector<void *> own;
  for (auto &argument : code->preparePlan()->arguments)
    own.push_back(argument.prepared >= 0 ? prepared[argument.prepared].data() : tensors.at(argument.tensor));
  int64_t bytes = 0;
  for (auto &term : code->preparePlan()->arena)
    bytes += term.bytes;
  Memory scratch;
  scratch.bytes.assign(bytes + 128, 0x7f);
  threadCount = 1;
  EXPECT_EQ(entries[code->plan().size()](nullptr, nullptr, own.data(), scratch.data()), 0);
  for (auto [i, size] : llvm::enumerate(code->preparedBytes()))
    EXPECT_EQ(prepared[i].data()[size], 0x55) << "wrote behind prepared value " << i;
}

std::vector<Tensor> Loaded::run(const std::vector<Tensor> &arguments, const std::vector<int64_t> &symbols, int threads) {
  func::FuncOp func = function();
  auto &plan = code->plan()[0];
  std::vector<Memory> memory(plan.arguments.size());
  std::vector<void *> buffers;
  std::vector<int> bufferOfResult(func.getNumResults(), -1);
  for (auto [i, argument] : llvm::enumerate(plan.arguments)) {
    if (argument.prepared >= 0) {
      buffers.push_back(nullptr);
      continue;
    }
    Type type = argument.argument >= 0 ? func.getArgument(argument.argument).getType()
                                       : func.getResultTypes()[argument.result];
    size_t bytes = countOf(shapeOf(type, symbols)) * mlir::bigm::kernel::elementBytes(type);
    memory[i].bytes.assign(bytes + 128, 0x55);
    if (argument.argument >= 0)
      withType(elementOf(type), [&](auto zero) {
        put<decltype(zero)>(memory[i].data(), arguments[argument.argument].data);
      });
    buffers.push_back(memory[i].data());
  }
  prepare(buffers);
  EXPECT_EQ(call(symbols, buffers, threads), 0);
  std::vector<Tensor> results;
  // A result that updates an argument's tensor lies there.
  for (unsigned r = 0; r < func.getNumResults(); ++r) {
    int at = -1;
    auto updates = func.getResultAttrOfType<IntegerAttr>(r, "bigm.updates");
    for (auto [i, argument] : llvm::enumerate(plan.arguments)) {
      if (argument.result == int(r))
        at = int(i);
      if (updates && argument.argument >= 0 &&
          func.getArgAttr(argument.argument, "bigm.tensor") == Attribute(updates))
        at = int(i);
    }
    Type type = func.getResultTypes()[r];
    Tensor tensor{shapeOf(type, symbols), {}};
    tensor.data.resize(countOf(tensor.shape));
    withType(elementOf(type), [&](auto zero) { get<decltype(zero)>(memory[at].data(), tensor.data); });
    char *behind = memory[at].data() + tensor.data.size() * mlir::bigm::kernel::elementBytes(type);
    EXPECT_EQ(*behind, 0x55) << "wrote behind result " << r;
    results.push_back(std::move(tensor));
  }
  return results;
}

double Loaded::time(const std::vector<int64_t> &symbols, int threads, int repeats) {
  func::FuncOp func = function();
  auto &plan = code->plan()[0];
  std::vector<Memory> memory(plan.arguments.size());
  std::vector<void *> buffers;
  for (auto [i, argument] : llvm::enumerate(plan.arguments)) {
    if (argument.prepared >= 0) {
      buffers.push_back(nullptr);
      continue;
    }
    Type type = argument.argument >= 0 ? func.getArgument(argument.argument).getType()
                                       : func.getResultTypes()[argument.result];
    memory[i].bytes.assign(countOf(shapeOf(type, symbols)) * mlir::bigm::kernel::elementBytes(type) + 128, 0);
    buffers.push_back(memory[i].data());
  }
  arena.assign(arenaBytes(symbols) + 192, 0);
  char *aligned = arena.data() + (64 - reinterpret_cast<uintptr_t>(arena.data()) % 64) % 64;
  prepare(buffers);
  spent.clear();
  threadCount = threads;
  spent.clear();
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    auto start = std::chrono::steady_clock::now();
    entry(nullptr, symbols.data(), buffers.data(), aligned);
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  if (std::getenv("BIGM_CPU_PROFILE")) {
    Dl_info info{};
    dladdr(reinterpret_cast<void *>(entry), &info);
    for (auto &[body, seconds] : spent)
      std::printf("%lx %8.4f ms, least %8.4f, %zu launches\n",
                  long(reinterpret_cast<char *>(body) - static_cast<char *>(info.dli_fbase)),
                  std::accumulate(seconds.begin(), seconds.end(), 0.0) * 1000 / repeats,
                  *std::min_element(seconds.begin(), seconds.end()) * 1000, seconds.size() / repeats);
  }
  spent.clear();
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

std::vector<Tensor> randomArguments(func::FuncOp function, const std::vector<int64_t> &symbols) {
  std::mt19937 generator(7);
  std::vector<Tensor> arguments;
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes())) {
    bool full = bool(function.getArgAttr(i, "bigm.full")); // every value of a byte
    Tensor tensor{shapeOf(type, symbols), {}};
    tensor.data.resize(countOf(tensor.shape));
    Type element = elementOf(type);
    for (double &value : tensor.data)
      value = isa<FloatType>(element) ? double(float(generator() % 40001) / 10000.0f - 2.0f)
              : element.isInteger(1)  ? generator() % 2
              : full                  ? double(generator() % 256) - (element.isUnsignedInteger(8) ? 0 : 128)
                                      : generator() % 3;
    arguments.push_back(std::move(tensor));
  }
  return arguments;
}

/// The values that a function which sets tensors gives them, by name.
static std::map<std::string, Tensor> initialValues(MLIRContext &context, const std::string &text) {
  std::map<std::string, Tensor> values;
  if (text.empty())
    return values;
  auto module = parseSourceString<ModuleOp>(text, &context);
  auto init = *module->getOps<func::FuncOp>().begin();
  auto results = mlir::bigm::ref::run(init, {Tensor{{}, {1}}}, {}, mlir::bigm::ref::Mode::Typed);
  EXPECT_TRUE(succeeded(results));
  for (size_t i = 0; succeeded(results) && i < results->size(); ++i)
    values[init.getResultAttrOfType<StringAttr>(i, "bigm.name").str()] = (*results)[i];
  return values;
}

std::vector<std::string> usualTargets() {
  std::vector<std::string> targets = {"x86-64-v2", "x86-64-v3", "sapphirerapids"};
  auto host = *mlir::bigm::cpu::parseTarget("host");
  if (host.lanes > 8 || host.bytes) // otherwise as x86-64-v3
    targets.push_back("host");
  return targets;
}

void expectSame(const std::string &text, const std::vector<int64_t> &symbols, double tolerance, const std::string &initText) {
  expectSameOn(usualTargets(), text, symbols, tolerance, initText);
}

void expectSameOn(std::vector<std::string> targets, const std::string &text, const std::vector<int64_t> &symbols,
                  double tolerance, const std::string &initText) {
  if (const char *only = std::getenv("BIGM_CPU_TARGET"))
    targets = {only};
  auto context = makeContext();
  const std::map<std::string, Tensor> initial = initialValues(*context, initText);
  std::optional<FailureOr<std::vector<Tensor>>> known; // the reference's numbers are the same for every target
  for (const std::string &target : targets) {
    SCOPED_TRACE(target);
    Loaded loaded(*context, text, target);
    ASSERT_TRUE(loaded.ok());
    std::vector<Tensor> arguments = randomArguments(loaded.function(), symbols);
    for (size_t i = 0; i < arguments.size(); ++i)
      if (auto name = loaded.function().getArgAttrOfType<StringAttr>(i, "bigm.name"))
        if (auto value = initial.find(name.str()); value != initial.end())
          arguments[i] = value->second;
    if (!known)
      known = mlir::bigm::ref::run(loaded.function(), arguments, symbols, mlir::bigm::ref::Mode::Typed);
    const auto &expected = *known;
    ASSERT_TRUE(succeeded(expected));
    std::vector<Tensor> one = loaded.run(arguments, symbols, 1), three = loaded.run(arguments, symbols, 3);
    for (size_t r = 0; r < expected->size(); ++r) {
      const Tensor &want = (*expected)[r];
      EXPECT_EQ(one[r].shape, want.shape);
      // The same bits, NaN included.
      EXPECT_EQ(std::memcmp(one[r].data.data(), three[r].data.data(), one[r].data.size() * sizeof(double)), 0)
          << "result " << r << " depends on the number of threads";
      double largest = 1e-30;
      for (double value : want.data)
        largest = std::isfinite(value) ? std::max(largest, std::abs(value)) : largest;
      int wrong = 0;
      for (size_t i = 0; i < want.data.size(); ++i) {
        double a = one[r].data[i], b = want.data[i];
        bool same = a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= tolerance * largest;
        if (!same && ++wrong <= 3)
          ADD_FAILURE() << "result " << r << " element " << i << ": " << a << ", the reference says " << b;
      }
      if (wrong > 3)
        ADD_FAILURE() << wrong << " of " << want.data.size() << " elements differ";
    }
  }
}

} // namespace bigm::test
