// Memory of numbers and pictures: on cache lines, not cleared, and kept when it is freed.
//
// What a flow makes of a record is freed with it and made again for the next. Pages that went back to the system and come
// again cost more than what is done with them: 0.4 ms for the planes of a photograph of 512 x 512 whose decoding takes 1.2.
#pragma once
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

namespace bigm::data {

/// `size` bytes from a multiple of 64 on, of any contents; of what was given back where something of about this size was. From any
/// thread. Throws std::bad_alloc.
void *takeMemory(size_t size);
/// Gives back what was taken with this size. At most 64 MiB of all are kept.
void giveMemory(void *memory, size_t size);

/// Elements are not cleared: what is made is written whole.
template <class T> struct KeptAllocator {
  using value_type = T;
  KeptAllocator() = default;
  template <class U> KeptAllocator(const KeptAllocator<U> &) {}
  T *allocate(size_t n) { return static_cast<T *>(takeMemory(n * sizeof(T))); }
  void deallocate(T *p, size_t n) { giveMemory(p, n * sizeof(T)); }
  template <class U> void construct(U *p) { ::new (static_cast<void *>(p)) U; }
  template <class U, class... A> void construct(U *p, A &&...a) { ::new (static_cast<void *>(p)) U(std::forward<A>(a)...); }
  bool operator==(const KeptAllocator &) const { return true; }
};
using Bytes = std::vector<uint8_t, KeptAllocator<uint8_t>>;

} // namespace bigm::data
