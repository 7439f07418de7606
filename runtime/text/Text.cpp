#include "Text.h"

namespace bigm::text {

void Text::transform(const std::vector<Change> &changes, size_t dropped) {
  Text out = blank();
  out.bytes.reserve(bytes.size());
  size_t at = 0; // in the old text
  auto pass = [&](size_t chars) {
    for (; chars > 0 && at < bytes.size(); --chars)
      at += lengthAt(bytes[at]);
  };
  pass(dropped);
  for (const Change &c : changes) {
    if (c.change > 0) {
      out.add(c.c, inserted(at));
      continue;
    }
    out.add(c.c, origin(at));
    pass(size_t(1 - c.change));
  }
  *this = std::move(out);
}

} // namespace bigm::text
