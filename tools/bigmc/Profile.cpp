// `bigmc profile`: the program compiled with entries that say which kernel runs, called with random inputs.
#include "Commands.h"
#include "Compiler.h"
#include "Explain.h"
#include "Measure.h"
#include "Module.h"
#include "Precision.h"
#include <filesystem>
#include <iostream>

namespace bigm::tool {

int profile(const ProfileOptions &given) {
  ProfileOptions options = given;
  options.code.explain = options.code.marks = true;
  if (!options.run.empty() && !std::filesystem::is_directory(options.run))
    return userError("`--run " + options.run + "` is not a folder; `bigmc train` makes one");
  auto sets = options.run.empty() ? options.program.sets : setsOfRun(options.run, options.program.sets);
  auto checked = checkProgram(options.program.file, sets, options.program.data);
  if (!checked)
    return UserError;
  if (!showPrecision(*checked, options.code))
    return UserError;
  int code = Done;
  auto compiled = compile(*checked, options.code, code);
  auto module = compiled ? openCompiled(*compiled, code) : nullptr;
  if (!module)
    return code;

  const auto *report = functionToMeasure(*compiled, module->get(), options.function);
  if (!report)
    return userError(noSuchFunction(options.function, options.program.file));
  Measurement measurement;
  std::string error = measurement.open(module->get(), *report, {options.run, options.threads, checked->program.generates});
  if (error.empty())
    error = measurement.turn(options.seconds, 3);
  if (!error.empty())
    return userError(error);
  KernelTimes measured = measurement.times();
  const std::vector<double> &times = options.least ? measured.least : measured.median;
  Peak peak = measurePeak(options.threads, /*brief=*/false);
  if (options.json)
    std::cout << explainJson(*report, times, peak, *checked).dump() << "\n";
  else
    std::cout << explain(*report, times, peak, *checked);
  if (!options.memory.empty() && !writeMemoryPlan({*report}, options.memory))
    return userError("cannot write `" + options.memory + "`");
  return Done;
}

} // namespace bigm::tool
