// Text that comes in pieces and ends before the first of some strings.
//
// A piece is handed on as far as it cannot be the beginning of such a string; the rest waits for the next one.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bigm::generate {

class StopText {
public:
  explicit StopText(std::span<const std::string> stops) : stops(stops) {}
  /// Takes what was added to `text` since the last call. True when a stop string stands in it: text then ends before it.
  bool add();
  /// What can be handed on now, each character once; with `last` all that is left.
  std::string_view ready(bool last);
  void reserve(size_t characters) { text.reserve(characters); }
  std::string text;

private:
  std::span<const std::string> stops;
  size_t searched = 0, handed = 0;
};

} // namespace bigm::generate
