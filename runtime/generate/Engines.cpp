#include "Engines.h"
#include <algorithm>

namespace bigm::generate {

Engine &Engines::at(const std::string &name, int64_t positions, int64_t slots) {
  Kept &k = kept[name];
  if (!k.engine || k.engine->slots() < slots || k.positions < positions) {
    k.engine.reset(); // its memory goes before the next one's comes
    k.engine = std::make_unique<Engine>(model, name, positions, std::max(slots, fewest), threads);
    k.positions = positions;
  }
  return *k.engine;
}

} // namespace bigm::generate
