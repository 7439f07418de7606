// Weights and their averages. While a phase with `ema` runs, the weights are those that learn, and their averages stand in the
// optimiser's tensors NAME/ema. What is measured and what is saved as the run's weights are the averages, so they change
// places for that; a run that goes on changes them back. The phase ends with the averages as its weights.
#include "Trainer.h"
#include <algorithm>
#include <fmt/format.h>
#include <stdexcept>

namespace bigm::driver {
namespace {

int32_t numbered(const Program &program, const std::string &name) {
  auto found = std::find_if(program.tensors.begin(), program.tensors.end(), [&](auto &t) { return t.name == name; });
  if (found == program.tensors.end())
    throw std::runtime_error(fmt::format("bug in bigmc: there is no tensor `{}`", name));
  return int32_t(found - program.tensors.begin());
}
std::vector<uint8_t> bytesOf(bigm_model *model, const Program &program, int32_t tensor) {
  auto &t = program.tensors[size_t(tensor)];
  auto *bytes = static_cast<const uint8_t *>(bigm_model_data(model, tensor));
  return {bytes, bytes + data::product(t.shape) * int64_t(data::sizeOf(t.elem))};
}

} // namespace

void Trainer::beginAverage(const PhaseProgram &phase) {
  for (auto &name : phase.averaged) {
    auto now = bytesOf(session.model(), program, numbered(program, name));
    expect(bigm_model_write(session.model(), numbered(program, name + "/ema"), now.data(), now.size()));
  }
}

void Trainer::swapAverage(const PhaseProgram &phase) {
  for (auto &name : phase.averaged) {
    int32_t weight = numbered(program, name), mean = numbered(program, name + "/ema");
    auto a = bytesOf(session.model(), program, weight), b = bytesOf(session.model(), program, mean);
    expect(bigm_model_write(session.model(), weight, b.data(), b.size()));
    expect(bigm_model_write(session.model(), mean, a.data(), a.size()));
  }
}

const PhaseProgram *Trainer::phaseNow() const {
  if (!state.phaseBegun || state.train >= int64_t(program.trains.size()))
    return nullptr;
  auto &phases = program.trains[size_t(state.train)].phases;
  return state.phase < int64_t(phases.size()) ? &phases[size_t(state.phase)] : nullptr;
}

} // namespace bigm::driver
