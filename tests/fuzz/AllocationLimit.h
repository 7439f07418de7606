// Aborts when a reader holds more memory than its input's size times a factor (and a little that does not depend on it).
// Counts where the sanitizer's hooks are; elsewhere it does nothing.
#pragma once
#include <cstdio>
#include <cstdlib>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/allocator_interface.h>
#define BIGM_COUNTS_ALLOCATIONS
#endif
#endif

namespace bigm::fuzz {
#ifdef BIGM_COUNTS_ALLOCATIONS
inline size_t live = 0, most = 0;
inline bool counting = false;

class AllocationLimit {
public:
  AllocationLimit(size_t size, size_t factor) : size(size), bytes(size * factor + 65536) {
    static int installed = __sanitizer_install_malloc_and_free_hooks(
        [](const volatile void *, size_t n) {
          live += counting ? n : 0;
          most = live > most ? live : most;
        },
        [](const volatile void *p) {
          size_t n = counting ? __sanitizer_get_allocated_size(p) : 0;
          live -= n < live ? n : live;
        });
    (void)installed;
    live = most = 0;
    counting = true;
  }
  ~AllocationLimit() {
    counting = false;
    if (most <= bytes)
      return;
    std::fprintf(stderr, "%zu bytes of input took %zu of memory; %zu are allowed\n", size, most, bytes);
    std::abort();
  }

private:
  size_t size, bytes;
};
#else
struct AllocationLimit {
  AllocationLimit(size_t, size_t) {}
  ~AllocationLimit() {}
};
#endif
} // namespace bigm::fuzz
