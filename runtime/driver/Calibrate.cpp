// Calibration: what a program's evaluations show of its activations.
#include "Driver.h"
#include "Guard.h"
#include "Measuring.h"

namespace bigm::driver {

Result calibrate(const bigm_module *module, const CommonOptions &options, int64_t records, const std::function<void(const Elements &)> &use) {
  return guarded([&] {
    Measuring measuring(module, options);
    const Program &program = measuring.program();
    for (const EvaluateProgram &evaluate : program.evaluates)
      measuring.measure(evaluate, records);
    use([&](const std::string &name) -> std::span<const float> {
      for (size_t i = 0; i < program.tensors.size(); ++i)
        if (const TensorInfo &t = program.tensors[i]; t.name == name && t.elem == data::Elem::F32)
          return {static_cast<const float *>(bigm_model_data(measuring.session().model(), int32_t(i))), size_t(data::product(t.shape))};
      throw std::runtime_error(fmt::format("bug in bigmc: no tensor is called `{}`", name));
    });
    return Result{};
  });
}

} // namespace bigm::driver
