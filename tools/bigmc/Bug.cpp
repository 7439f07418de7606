#include "Bug.h"
#include "Commands.h"
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <unistd.h>

namespace bigm::tool {
namespace {
// Written while all is well, so that the signal handler only has to hand bytes to the kernel.
std::string commandLine, reproducer;
char alternateStack[64 * 1024];

std::string folder() {
  std::error_code ignored;
  auto temp = std::filesystem::temp_directory_path(ignored);
  return ignored ? "." : temp.string();
}

/// Async-signal-safe when `path` was made before.
void writeAll(int fd, const char *data, size_t size) {
  while (size > 0) {
    ssize_t n = ::write(fd, data, size);
    if (n <= 0)
      return;
    data += n, size -= static_cast<size_t>(n);
  }
}
char reproducerPath[4096];

void report(const char *what) {
  int fd = ::open(reproducerPath, O_CREAT | O_WRONLY | O_TRUNC, 0644);
  if (fd >= 0) {
    writeAll(fd, reproducer.data(), reproducer.size());
    ::close(fd);
  }
  const char *parts[] = {"bigmc: bug in bigmc: ", what, "\n", fd >= 0 ? "hint: send this file with your report: " : "",
                         fd >= 0 ? reproducerPath : "", fd >= 0 ? "\n" : ""};
  for (const char *part : parts)
    writeAll(2, part, std::char_traits<char>::length(part));
}

void onSignal(int number) {
  report(number == SIGSEGV ? "it crashed (segmentation fault)"
         : number == SIGILL ? "it crashed (illegal instruction)"
         : number == SIGFPE ? "it crashed (arithmetic fault)"
                            : "it gave up (abort)");
  ::_exit(OurBug);
}
} // namespace

void catchBugs(int argc, char **argv) {
  commandLine.clear();
  for (int i = 0; i < argc; ++i)
    commandLine += (i ? " " : "") + std::string(argv[i]);
  reproducer = "# " + commandLine + "\n# bigmc " BIGM_VERSION "\n";
  std::snprintf(reproducerPath, sizeof reproducerPath, "%s/bigmc-bug-%d.txt", folder().c_str(), ::getpid());
  // A stack of its own: an overflow of the stack must be reported too.
  stack_t stack{};
  stack.ss_sp = alternateStack;
  stack.ss_size = sizeof alternateStack;
  ::sigaltstack(&stack, nullptr);
  struct sigaction action{};
  action.sa_handler = onSignal;
  action.sa_flags = SA_ONSTACK | SA_RESETHAND;
#if !defined(__SANITIZE_ADDRESS__) && !(defined(__has_feature) && __has_feature(address_sanitizer))
  for (int number : {SIGSEGV, SIGABRT, SIGILL, SIGFPE, SIGBUS})
    ::sigaction(number, &action, nullptr);
#endif
}

void addToReproducer(const std::string &name, const std::string &text) {
  reproducer += "\n# ==== " + name + "\n" + text + "\n";
}

int bug(const std::string &what) {
  report(what.c_str());
  return OurBug;
}

} // namespace bigm::tool
