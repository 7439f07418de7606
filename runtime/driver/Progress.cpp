#include "Progress.h"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace bigm::driver {
using clock = std::chrono::steady_clock;

namespace {
double seconds(clock::time_point a, clock::time_point b) { return std::chrono::duration<double>(b - a).count(); }
} // namespace

std::string clockText(double s) {
  int64_t t = std::llround(std::max(0.0, s));
  return t >= 3600 ? fmt::format("{}:{:02}:{:02}", t / 3600, t / 60 % 60, t % 60) : fmt::format("{}:{:02}", t / 60, t % 60);
}

std::string countText(double value) {
  std::string digits = fmt::format("{:.0f}", value);
  for (int at = int(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(size_t(at), ",");
  return digits;
}

Progress::Progress(std::FILE *out, bool quiet) : out(out), bar(out && !quiet && ::isatty(::fileno(out))) {}
Progress::~Progress() { erase(); }

void Progress::begin(std::string text, int64_t from, int64_t all) {
  label = std::move(text);
  first = done = from;
  total = all;
  records = 0;
  begun = clock::now();
  last = {};
}

void Progress::update(int64_t now, int64_t more, double value) {
  done = now;
  records += more;
  loss = value;
  draw(done == total);
}

double Progress::throughput() const {
  double s = seconds(begun, clock::now());
  return s > 0 ? double(records) / s : 0;
}

void Progress::draw(bool force) {
  auto now = clock::now();
  if (!bar || (!force && seconds(last, now) < 0.1))
    return;
  last = now;
  double share = total ? double(done) / double(total) : 1, spent = seconds(begun, now);
  double left = done > first ? spent / double(done - first) * double(total - done) : 0;
  std::string tail = fmt::format(" {:3.0f} %  {} records/s  {} left  loss {:.4f}", 100 * share, countText(throughput()),
                                 clockText(left), loss);
  winsize window{};
  int columns = ::ioctl(::fileno(out), TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
  // Eighths of a cell, so that the bar moves smoothly.
  static constexpr const char *kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  int width = std::clamp(columns - int(label.size() + tail.size()) - 3, 0, 40);
  int filled = int(share * width * 8);
  std::string cells;
  for (int i = 0; i < filled / 8; ++i)
    cells += "█";
  int used = filled / 8;
  if (filled % 8) {
    cells += kEighths[filled % 8];
    ++used;
  }
  cells += std::string(size_t(std::max(0, width - used)), ' ');
  fmt::print(out, "\r\x1b[K{} {}{}", label, cells, tail);
  std::fflush(out);
  drawn = true;
}

void Progress::erase() {
  if (drawn)
    fmt::print(out, "\r\x1b[K");
  drawn = false;
}

void Progress::line(const std::string &text) {
  if (!out)
    return;
  erase();
  fmt::print(out, "{}\n", text);
  std::fflush(out);
}

void Progress::end() { erase(); }

} // namespace bigm::driver
