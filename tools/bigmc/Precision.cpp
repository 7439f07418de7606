#include "Precision.h"
#include "KeptRanges.h"
#include "Module.h"
#include "frontend/precision/Balance.h"
#include "frontend/precision/Narrow.h"
#include "runtime/include/bigm/bigm.h"
#include "llvm/ADT/StringExtras.h"
#include <chrono>
#include <fmt/format.h>
#include <iostream>

namespace bigm::tool {
namespace {

/// Records of a split that ranges are found on: more changed no accuracy of the examples by a digit that is printed.
constexpr int64_t calibrationRecords = 512;

/// The deploys at the precision that is asked for; none after printing what is wrong with that.
std::vector<DeployProgram> asked(const Program &program, const CodeOptions &code) {
  std::vector<DeployProgram> deploys = deploysAt(program, code.precision, code.deploy);
  if (deploys.empty()) {
    std::vector<std::string> names;
    for (const DeployProgram &d : program.deploys)
      names.push_back(d.train);
    std::string near = didYouMean(code.deploy, names);
    userError("no `deploy` is called `" + code.deploy + "`" +
              (near.empty() ? "; there are " + llvm::join(names, ", ") : "; did you mean `" + near + "`?"));
    return {};
  }
  if (auto conflict = conflictIn(program, deploys)) { // of other parts that they keep, at a precision of the command line
    userError("`" + deploys[conflict->first].train + "` ships `" + conflict->weight + "` as " + conflict->firstKeeps + ", and `" +
              deploys[conflict->second].train + "` as " + conflict->secondKeeps + ": a library has each weight once");
    return {};
  }
  return deploys;
}

void apply(Checked &checked, const CodeOptions &code, const std::vector<DeployProgram> &deploys, const Ranges &ranges) {
  checked.program = narrowed(checked.program, deploys, ranges);
  for (DeployProgram &d : checked.program.deploys) // the manifest says what is
    if (!code.precision.empty())
      d.precision = code.precision;
}

/// The range that all weights of one name share.
std::optional<Range> rangeFrom(const Program &program, const RangeOf &range, const std::map<int, RangeOf> &all, const std::map<int, Kept> &kept,
                               const driver::Elements &elements) {
  auto counts = elements(range.name + ".seen");
  if (!range.channels)
    return bestRange(counts);
  std::vector<Multiplier> multipliers;
  for (auto &[tensor, of] : all)
    if (of.name == range.name) {
      const TensorDecl &decl = program.tensors[size_t(tensor)];
      Multiplier weight{elements(decl.name), {}, kept.at(tensor).axis, of.along};
      for (const Dim &size : decl.type.shape)
        weight.shape.push_back(size.constant().value());
      multipliers.push_back(std::move(weight));
    }
  return balancedRange(counts, range.channels, multipliers);
}

/// Runs the program's evaluations with f32, counting. Nothing after printing why it cannot be.
std::optional<Ranges> find(const Checked &checked, const Program &observed, const CodeOptions &code, const std::map<int, RangeOf> &names,
                           const std::map<int, Kept> &kept, const driver::CommonOptions &places, int &exitCode) {
  CodeOptions plain = code;
  plain.explain = plain.marks = false;
  auto compiled = compile(observed, checked.sources, checked.sourceSha256, plain, exitCode);
  auto module = compiled ? openCompiled(*compiled, exitCode) : nullptr;
  if (!module)
    return std::nullopt;
  Ranges ranges;
  driver::Result result = driver::calibrate(module->get(), places, calibrationRecords, [&](const driver::Elements &elements) {
    for (auto &[tensor, of] : names)
      if (!ranges.count(of.name))
        if (auto range = rangeFrom(checked.program, of, names, kept, elements))
          ranges[of.name] = std::move(*range);
  });
  if (result.error.empty())
    return ranges;
  std::cerr << "bigmc: error: " << result.error << "\n";
  exitCode = result.exitCode;
  return std::nullopt;
}

/// The ranges of what the deploys calibrate: those that were kept, or found now. Nothing after printing why they cannot be.
std::optional<Ranges> calibrated(const Checked &checked, const CodeOptions &code, const std::vector<DeployProgram> &deploys,
                                 const std::map<int, Kept> &kept, const std::map<int, RangeOf> &names, const driver::CommonOptions &places,
                                 int &exitCode) {
  auto start = std::chrono::steady_clock::now();
  Program program = observed(checked.program, deploys);
  if (program.evaluates.empty()) {
    exitCode = userError("no `evaluate` runs what is calibrated, so nothing shows its activations");
    return std::nullopt;
  }
  const std::string split = program.evaluates.front().data + "." + program.evaluates.front().split;
  KeptRanges store(checked, program, fmt::format("{}, {} records", precisionText(deploys), calibrationRecords), places, code);
  auto ranges = store.read();
  if (!ranges && places.dataDir.empty()) {
    exitCode = userError("ranges of activations are found on `" + split + "`: say with `--data` where that is");
    return std::nullopt;
  }
  const bool known = ranges.has_value();
  if (!known) {
    ranges = find(checked, program, code, names, kept, places, exitCode);
    if (!ranges)
      return std::nullopt;
    store.write(*ranges);
  }
  std::string unseen;
  size_t products = 0;
  for (auto &[tensor, of] : names)
    if (ranges->count(of.name))
      ++products;
    else
      unseen += (unseen.empty() ? "`" : ", `") + checked.program.tensors[size_t(tensor)].name + "`";
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::cerr << fmt::format("bigmc: {} products in eight bits, {} ranges from {} {}\n", products, ranges->size(), split,
                           known ? "as found before" : fmt::format("in {:.1f} s", seconds));
  if (!unseen.empty())
    std::cerr << "bigmc: no evaluation runs " << unseen << ": activations stay f32 there\n";
  return ranges;
}
} // namespace

std::optional<std::string> applyPrecision(Checked &checked, const CodeOptions &code, const driver::CommonOptions &places, int &exitCode) {
  std::vector<DeployProgram> deploys = asked(checked.program, code);
  if (deploys.empty()) {
    exitCode = UserError;
    return std::nullopt;
  }
  Ranges ranges;
  const std::map<int, Kept> kept = keptBy(checked.program, deploys);
  if (auto names = rangesOf(checked.program, kept); !names.empty()) {
    auto found = calibrated(checked, code, deploys, kept, names, places, exitCode);
    if (!found)
      return std::nullopt;
    ranges = std::move(*found);
  }
  apply(checked, code, deploys, ranges);
  return precisionText(deploys);
}

bool showPrecision(Checked &checked, const CodeOptions &code) {
  if (!code.precision.empty() || !code.deploy.empty()) {
    std::vector<DeployProgram> deploys = asked(checked.program, code);
    Ranges standIns;
    for (auto &[tensor, of] : rangesOf(checked.program, keptBy(checked.program, deploys)))
      standIns[of.name] = {1.f / 32, 32, 128, std::vector<float>(size_t(of.channels), 1.f)};
    if (!deploys.empty())
      apply(checked, code, deploys, standIns);
    return !deploys.empty();
  }
  for (const DeployProgram &d : checked.program.deploys)
    if (!d.precision.empty() && d.precision != "f32")
      std::cerr << "bigmc: weights are f32 here, and `" << d.train << "` ships as " << d.precision << "; `--deploy " << d.train
                << "` shows that\n";
  return true;
}

} // namespace bigm::tool
