// How the core says that something failed: an exception inside, a status and a text outside.
//
// Everything in runtime/core throws Failure (or std::bad_alloc); CApi.cpp catches at the border with `guarded`, so
// that no exception crosses the C ABI. Texts name the file or the function, what was seen and what was expected.
#pragma once
#include "bigm/bigm.h"
#include <cstdint>
#include <stdexcept>
#include <string>

namespace bigm::rt {

struct Failure : std::runtime_error {
  bigm_status status;
  Failure(bigm_status status, const std::string &text) : std::runtime_error(text), status(status) {}
};

/// Makes the text that of the thread's last error, for borders beside the core's own; gives the status back.
bigm_status report(bigm_status status, const char *text) noexcept;

/// "no space left on device": the system's word for errno, as it stands in our sentences.
std::string systemError(int number);

/// Product that fails instead of wrapping; operands are >= 0.
inline int64_t checkedMul(int64_t a, int64_t b, const char *what) {
  int64_t result;
  if (__builtin_mul_overflow(a, b, &result))
    throw Failure(BIGM_ERROR_SHAPE, std::string(what) + " is too large to be computed");
  return result;
}
inline int64_t checkedAdd(int64_t a, int64_t b, const char *what) {
  int64_t result;
  if (__builtin_add_overflow(a, b, &result))
    throw Failure(BIGM_ERROR_SHAPE, std::string(what) + " is too large to be computed");
  return result;
}

} // namespace bigm::rt
