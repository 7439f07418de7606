#include "Interrupt.h"

namespace bigm::driver {
volatile std::sig_atomic_t interrupted = 0;

CatchInterrupt::CatchInterrupt(bool on) : on(on) {
  if (!on)
    return;
  interrupted = 0;
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  action.sa_flags = int(SA_RESETHAND);
  sigaction(SIGINT, &action, &oldInt);
  sigaction(SIGTERM, &action, &oldTerm);
}

CatchInterrupt::~CatchInterrupt() {
  if (on) {
    sigaction(SIGINT, &oldInt, nullptr);
    sigaction(SIGTERM, &oldTerm, nullptr);
  }
}

} // namespace bigm::driver
