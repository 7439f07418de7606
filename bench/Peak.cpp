#include "bench/Peak.h"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

namespace {
double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Runs `body(thread)` on all threads at once; seconds until the last is done.
template <class Body> double together(int threads, Body body) {
  std::vector<std::thread> pool;
  double start = now();
  for (int t = 0; t < threads; ++t)
    pool.emplace_back(body, t);
  for (auto &thread : pool)
    thread.join();
  return now() - start;
}

// Accumulators: enough to hide a latency of 4 to 5 cycles on two ports; they must fit the registers (16 of AVX2, 32 of
// AVX-512).
template <class Vector, int kAccumulators> inline __attribute__((always_inline)) float fmaLoop(int64_t rounds) {
  // The compiler must not know them: a sum that starts at a fixed point would be a constant, and its share of the work counted
  // without being done.
  volatile float factor = 0.999f, summand = 1e-3f;
  Vector sum[kAccumulators], x = Vector{} + factor, y = Vector{} + summand;
  for (int i = 0; i < kAccumulators; ++i)
    sum[i] = Vector{} + float(i);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma clang loop unroll(full)
    for (int i = 0; i < kAccumulators; ++i)
      sum[i] = sum[i] * x + y;
  }
  Vector all{};
  for (int i = 0; i < kAccumulators; ++i)
    all += sum[i];
  float out = 0;
  for (size_t i = 0; i < sizeof(Vector) / sizeof(float); ++i)
    out += all[i];
  return out;
}
/// Four running sums hide the latency of the addition.
template <class Vector> inline __attribute__((always_inline)) float sumLoop(const float *data, int64_t count) {
  Vector sum[4] = {};
  constexpr int64_t step = sizeof(Vector) / sizeof(float);
  for (int64_t i = 0; i + 4 * step <= count; i += 4 * step)
    for (int j = 0; j < 4; ++j)
      sum[j] += *reinterpret_cast<const Vector *>(data + i + j * step);
  Vector all = sum[0] + sum[1] + sum[2] + sum[3];
  return all[0];
}

typedef float Vector16 __attribute__((vector_size(64)));
typedef float Vector8 __attribute__((vector_size(32)));
typedef float Vector4 __attribute__((vector_size(16)));

struct Level {
  int bits;
  int64_t flopsPerRound;
  float (*fma)(int64_t);
  float (*sum)(const float *, int64_t);
};
#if defined(__x86_64__)
__attribute__((target("avx512f"))) float fma512(int64_t n) { return fmaLoop<Vector16, 16>(n); }
__attribute__((target("avx512f"))) float sum512(const float *d, int64_t n) { return sumLoop<Vector16>(d, n); }
__attribute__((target("avx2,fma"))) float fma256(int64_t n) { return fmaLoop<Vector8, 12>(n); }
__attribute__((target("avx2,fma"))) float sum256(const float *d, int64_t n) { return sumLoop<Vector8>(d, n); }
#endif
float fma128(int64_t n) { return fmaLoop<Vector4, 12>(n); }
float sum128(const float *d, int64_t n) { return sumLoop<Vector4>(d, n); }

Level level() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return {512, 16 * 16 * 2, fma512, sum512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {256, 12 * 8 * 2, fma256, sum256};
#endif
  return {128, 12 * 4 * 2, fma128, sum128};
}

std::string cpuName() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0)
      return line.substr(line.find(": ") + 2);
  return "unknown";
}
} // namespace

bigm::Peak bigm::measurePeak(int threads, bool brief) {
  if (threads <= 0)
    threads = int(std::max(1u, std::thread::hardware_concurrency()));
  const Level best = level();
  volatile float sink = 0;

  constexpr int64_t kRounds = 1'000'000; // some milliseconds: short enough to fall between what else runs
  double gflops = 0;
  for (int round = 0; round < (brief ? 20 : 200); ++round) {
    double seconds = together(threads, [&](int) { sink = best.fma(kRounds); });
    gflops = std::max(gflops, 1e-9 * double(kRounds) * double(best.flopsPerRound) * threads / seconds);
  }

  const int64_t kCount = (brief ? 24 : 96) << 20; // 384 MB a thread, or 96
  std::vector<std::unique_ptr<float, void (*)(void *)>> blocks;
  for (int t = 0; t < threads; ++t) {
    blocks.emplace_back(static_cast<float *>(std::aligned_alloc(64, size_t(kCount) * sizeof(float))), std::free);
    if (!blocks.back())
      throw std::bad_alloc();
  }
  together(threads, [&](int t) { std::memset(blocks[size_t(t)].get(), 1, size_t(kCount) * sizeof(float)); });
  double gbs = 0;
  for (int round = 0; round < (brief ? 3 : 5); ++round) {
    double seconds = together(threads, [&](int t) { sink = best.sum(blocks[size_t(t)].get(), kCount); });
    gbs = std::max(gbs, 1e-9 * double(kCount) * double(sizeof(float)) * threads / seconds);
  }
  (void)sink;
  return {cpuName(), threads, best.bits, gflops, gbs};
}
