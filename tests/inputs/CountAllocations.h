// Counts what a test allocates: its own malloc and its kin stand before those of the C library. Not with a sanitizer, which has its own.
#pragma once
#include <atomic>
#include <cstdlib>

namespace count {
static std::atomic<long> allocations{0};

/// Allocations of `calls` calls behind `warm` others: threads come late, and each has buffers of its own.
template <class Body> static long steady(int warm, int calls, Body &&body) {
  for (int i = 0; i < warm; ++i)
    body();
  long before = allocations;
  for (int i = 0; i < calls; ++i)
    body();
  return allocations - before;
}
} // namespace count

extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void *malloc(size_t n) { return ++count::allocations, __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return ++count::allocations, __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return ++count::allocations, __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return ++count::allocations, __libc_memalign(a, n); }
void *memalign(size_t a, size_t n) { return ++count::allocations, __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { return ++count::allocations, *p = __libc_memalign(a, n), *p ? 0 : 12; }
}
