// What this machine can do at most: f32 multiply-adds and reading memory, with every core that it is given.
//
// The peak is a loop of independent fused multiply-adds in registers, the least that any kernel can take; the bandwidth
// a sum over a block far larger than the caches. Both are the best of several rounds, since noise only ever slows.
#pragma once
#include <string>

namespace bigm {

struct Peak {
  std::string cpu; // its name
  int threads = 1, vectorBits = 128;
  double gflops = 0;    // f32, a multiply-add is two
  double gigabytes = 0; // per second, reading
};

/// Measures with `threads` threads (0: all). `brief` takes fewer rounds and a quarter of the memory: for
/// estimates. Throws std::bad_alloc when there is no memory for a block of 384 MB a thread (96 MB when brief).
Peak measurePeak(int threads, bool brief);

} // namespace bigm
