#include "Bytes.h"
#include <array>
#include <bit>
#include <mutex>

namespace bigm::data {
namespace {

constexpr std::align_val_t kLine{64};
constexpr size_t kSmallest = 4096, kLargest = size_t(32) << 20, kMostKept = size_t(64) << 20;

// Under a sanitizer memory is not kept: it could not say who uses what is free.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define BIGM_KEEPS_MEMORY 0
#endif
#endif
#ifndef BIGM_KEEPS_MEMORY
#define BIGM_KEEPS_MEMORY 1
#endif

/// Sizes of blocks: four for each doubling. Which one holds `size`, and its bytes.
struct Class {
  size_t number, bytes;
};
bool isKept(size_t size) { return BIGM_KEEPS_MEMORY && size >= kSmallest && size <= kLargest; }
Class classOf(size_t size) {
  size_t step = std::bit_floor(size) / 4, steps = (size + step - 1) / step; // 4 to 8 steps
  return {4 * size_t(std::bit_width(step)) + steps - 4, steps * step};
}

struct Kept {
  std::mutex mutex;
  std::array<std::vector<void *>, 4 * 65> free;
  size_t bytes = 0;
};
Kept &kept() {
  static Kept &all = *new Kept; // never destroyed: what is static may free later
  return all;
}

} // namespace

void *takeMemory(size_t size) {
  if (!isKept(size))
    return ::operator new(size, kLine);
  Class c = classOf(size);
  {
    Kept &k = kept();
    std::lock_guard lock(k.mutex);
    if (auto &list = k.free[c.number]; !list.empty()) {
      void *memory = list.back();
      list.pop_back();
      k.bytes -= c.bytes;
      return memory;
    }
  }
  return ::operator new(c.bytes, kLine);
}

void giveMemory(void *memory, size_t size) {
  if (isKept(size)) {
    Class c = classOf(size);
    Kept &k = kept();
    std::lock_guard lock(k.mutex);
    if (k.bytes + c.bytes <= kMostKept) {
      try {
        k.free[c.number].push_back(memory);
        k.bytes += c.bytes;
        return;
      } catch (const std::bad_alloc &) { // then it is freed
      }
    }
  }
  ::operator delete(memory, kLine);
}

} // namespace bigm::data
