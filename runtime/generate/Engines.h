// The engines of a program, kept from one text to the next.
#pragma once
#include "Engine.h"
#include <map>

namespace bigm::generate {

/// One for each model that writes; a larger one takes its place where longer texts or more of them come.
class Engines {
public:
  /// `fewest` slots at least, for texts that are written side by side. `threads` as for a context.
  Engines(bigm_model *model, int32_t threads, int64_t fewest) : model(model), threads(threads), fewest(fewest) {}
  Engine &at(const std::string &name, int64_t positions, int64_t slots);

private:
  struct Kept {
    std::unique_ptr<Engine> engine;
    int64_t positions = 0; // that were asked for
  };
  bigm_model *model;
  int32_t threads;
  int64_t fewest;
  std::map<std::string, Kept> kept;
};

} // namespace bigm::generate
