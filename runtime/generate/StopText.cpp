#include "StopText.h"
#include <algorithm>

namespace bigm::generate {

bool StopText::add() {
  size_t found = std::string::npos;
  for (const std::string &stop : stops) {
    size_t from = searched >= stop.size() ? searched - stop.size() + 1 : 0;
    found = std::min(found, text.find(stop, from));
  }
  searched = text.size();
  if (found == std::string::npos)
    return false;
  text.resize(found);
  return true;
}

std::string_view StopText::ready(bool last) {
  size_t end = text.size();
  if (!last)
    for (const std::string &stop : stops)
      for (size_t length = std::min(stop.size() - 1, text.size()); length > 0; --length)
        if (std::string_view(text).substr(text.size() - length) == std::string_view(stop).substr(0, length)) {
          end = std::min(end, text.size() - length);
          break;
        }
  end = std::max(end, std::min(handed, text.size()));
  std::string_view piece = std::string_view(text).substr(std::min(handed, end), end - std::min(handed, end));
  handed = std::max(handed, end);
  return piece;
}

} // namespace bigm::generate
