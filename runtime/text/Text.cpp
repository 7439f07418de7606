#include "Text.h"

namespace bigm::text {

void Text::transform(const std::vector<Change> &changes, size_t dropped) {
  Text out;
  out.tracked = tracked;
  out.bytes.reserve(bytes.size());
  size_t at = 0; // in the old text
  auto pass = [&](size_t chars) {
    for (; chars > 0 && at < bytes.size(); --chars)
      at += lengthAt(bytes[at]);
  };
  pass(dropped);
  for (const Change &c : changes) {
    if (c.change > 0) {
      out.add(c.c, at == 0 ? Span{} : origin(at - 1)); // an inserted one belongs to what is before it
      continue;
    }
    out.add(c.c, origin(at));
    pass(size_t(1 - c.change));
  }
  *this = std::move(out);
}

} // namespace bigm::text
