// Memory comes from the system in pages: it is zero without being written, and giving it back is complete.
#include "Memory.h"
#include "Failure.h"
#include <sys/mman.h>

namespace bigm::rt {

static constexpr size_t kHugePage = size_t(2) << 20;

void Memory::allocate(size_t bytes) {
  reset();
  if (bytes == 0)
    return;
  // A large block gets one huge page more, so that it can begin on a boundary of them: half the page faults of a
  // training step's arena and fewer TLB misses.
  bool large = bytes >= 2 * kHugePage;
  size_t whole;
  if (__builtin_add_overflow(bytes, large ? kHugePage : 0, &whole) || whole > size_t(PTRDIFF_MAX))
    throw Failure(BIGM_ERROR_MEMORY, "out of memory: " + std::to_string(bytes) + " bytes are needed");
  void *pages = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED)
    throw Failure(BIGM_ERROR_MEMORY, "out of memory: " + std::to_string(bytes) + " bytes are needed");
  char *start = static_cast<char *>(pages);
  if (large) {
    size_t lead = (kHugePage - reinterpret_cast<uintptr_t>(start) % kHugePage) % kHugePage;
    if (lead)
      munmap(start, lead);
    start += lead;
    whole -= lead;
    (void)madvise(start, whole, MADV_HUGEPAGE); // a hint; refused is fine
  }
  begin = start;
  length = bytes;
  mapped = whole;
}

void Memory::reset() {
  if (begin)
    munmap(begin, mapped);
  begin = nullptr;
  length = mapped = 0;
}

} // namespace bigm::rt
