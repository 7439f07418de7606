// A block of memory aligned for vectors, on huge pages where it is large.
#pragma once
#include <cstddef>

namespace bigm::rt {

class Memory {
public:
  Memory() = default;
  ~Memory() { reset(); }
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  /// Frees what is held and gets `bytes` zeroed bytes aligned to 64. Throws Failure (BIGM_ERROR_MEMORY); then nothing is held.
  void allocate(size_t bytes);
  void reset();
  char *data() const { return begin; }
  size_t size() const { return length; }

private:
  char *begin = nullptr;
  size_t length = 0, mapped = 0;
};

} // namespace bigm::rt
