// What the driver's entry points do with exceptions: none leaves them.
#pragma once
#include "Driver.h"
#include "runtime/data/Error.h"
#include <new>

namespace bigm::driver {

/// Runs `body`, and makes the result of what it throws: data::Error is the user's, anything else a bug of ours.
template <class Body> Result guarded(Body &&body) {
  try {
    return body();
  } catch (const data::Error &e) {
    return {kUserError, e.what()};
  } catch (const std::bad_alloc &) {
    return {kUserError, "out of memory"};
  } catch (const std::exception &e) {
    return {kBug, e.what()};
  }
}

} // namespace bigm::driver
