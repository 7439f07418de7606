// Prints what this machine can do at most (Peak.h).
//
//   bench-machine [THREADS] -> {"cpu": ..., "threads": 2, "vector_bits": 512, "fma_gflops": 520.1, "memory_gbs": 75.2}
#include "bench/Peak.h"
#include <cstdio>
#include <cstdlib>
#include <new>

int main(int argc, char **argv) try {
  bigm::Peak peak = bigm::measurePeak(argc > 1 ? std::atoi(argv[1]) : 0, /*brief=*/false);
  std::printf("{\"cpu\": \"%s\", \"threads\": %d, \"vector_bits\": %d, \"fma_gflops\": %.1f, \"memory_gbs\": %.1f}\n",
              peak.cpu.c_str(), peak.threads, peak.vectorBits, peak.gflops, peak.gigabytes);
} catch (const std::bad_alloc &) {
  std::fprintf(stderr, "no memory to measure how fast it is read\n");
  return 1;
}
