// Ctrl-C while a training runs.
#pragma once
#include <csignal>

namespace bigm::driver {

/// Set by the signals, and by a training that was asked to stop otherwise.
extern volatile std::sig_atomic_t interrupted;

/// While one lives, SIGINT and SIGTERM are noted instead of ending the process; the first one gives the signals back, so a
/// second kills.
class CatchInterrupt {
public:
  explicit CatchInterrupt(bool on);
  ~CatchInterrupt();
  CatchInterrupt(const CatchInterrupt &) = delete;
  CatchInterrupt &operator=(const CatchInterrupt &) = delete;

private:
  bool on;
  struct sigaction oldInt, oldTerm;
};

} // namespace bigm::driver
