// What a person sees while a training runs: one line that is redrawn on a terminal, and plain lines elsewhere.
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace bigm::driver {

class Progress {
public:
  Progress(std::FILE *out, bool quiet);
  ~Progress();
  /// A bar for `total` steps of which `done` are done already.
  void begin(std::string label, int64_t done, int64_t total);
  /// Redraws at most ten times a second.
  void update(int64_t done, int64_t records, double loss);
  /// Prints a line above the bar.
  void line(const std::string &text);
  void end();
  /// Records in a second since `begin`.
  double throughput() const;

private:
  void draw(bool force);
  void erase();
  std::FILE *out;
  bool bar, drawn = false;
  std::string label;
  int64_t first = 0, done = 0, total = 0, records = 0;
  double loss = 0;
  std::chrono::steady_clock::time_point begun, last;
};

/// "0:07", "12:03", "1:02:03"
std::string clockText(double seconds);
/// 12430 -> "12,430"
std::string countText(double value);

} // namespace bigm::driver
