#include "Compiler.h"
#include "Digest.h"
#include "Bug.h"
#include "Commands.h"
#include "Explain.h"
#include "Manifest.h"
#include "Targets.h"
#include "TuningFile.h"
#include "backends/artifact/Signature.h"
#include "backends/cpu/Cpu.h"
#include "backends/cpu/ObjectCache.h"
#include "frontend/Frontend.h"
#include "frontend/Requirements.h"
#include "frontend/emit/Emit.h"
#include "ir/Bigm.h"
#include "passes/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"
#include <filesystem>
#include <iostream>
#include <map>
#include <unistd.h>

namespace bigm::tool {

std::string cacheFolder() {
  auto set = [](const char *name) {
    const char *value = std::getenv(name);
    return std::string(value ? value : "");
  };
  if (std::string folder = set("BIGM_CACHE_DIR"); !folder.empty())
    return folder;
  if (std::string caches = set("XDG_CACHE_HOME"); !caches.empty())
    return caches + "/bigmc";
  std::string home = set("HOME");
  return home.empty() ? "" : home + "/.cache/bigmc";
}
namespace {

/// Of all files that were read, one after the other.
std::string digestOf(const SourceManager &sources) {
  std::string all;
  for (uint32_t file = 0; file < sources.size(); ++file) {
    all += sources.text(file);
    all += '\0';
  }
  return sha256(all);
}

std::string print(mlir::ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, mlir::OpPrintingFlags().useLocalScope());
  stream << "\n";
  return text;
}

/// Collects what MLIR reports: to users it is a bug of ours, whatever it says.
class Messages {
public:
  explicit Messages(mlir::MLIRContext &context)
      : handler(&context, [this](mlir::Diagnostic &d) {
          if (d.getSeverity() == mlir::DiagnosticSeverity::Error && text.size() < 2000)
            text += (text.empty() ? "" : "; ") + d.str();
        }) {}
  std::string text;

private:
  mlir::ScopedDiagnosticHandler handler;
};

/// Everything that stands before a backend: the dialect, and gradients where `differentiate`.
mlir::OwningOpRef<mlir::ModuleOp> toDialect(const Program &program, const SourceManager &sources, mlir::MLIRContext &context, const std::string &only,
                                            bool differentiate, Messages &messages, int &exitCode) {
  auto module = emitProgram(program, sources, context, only);
  if (!module) {
    exitCode = bug("the program does not become IR: " + messages.text);
    return nullptr;
  }
  if (differentiate) {
    mlir::PassManager passes(&context);
    mlir::bigm::addDifferentiate(passes);
    if (mlir::failed(passes.run(*module))) {
      exitCode = bug("differentiation failed: " + messages.text);
      return nullptr;
    }
  }
  return module;
}

void prepare(mlir::MLIRContext &context) {
  mlir::DialectRegistry registry;
  mlir::bigm::cpu::registerDialects(registry);
  registry.insert<mlir::bigm::BigmDialect>();
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
}

/// `N=128` as a number by name; what is no such thing was refused by the command line.
std::map<std::string, int64_t> sizesOf(const CodeOptions &code) {
  std::map<std::string, int64_t> sizes;
  for (const std::string &size : code.sizes)
    sizes[size.substr(0, size.find('='))] = std::strtoll(size.c_str() + size.find('=') + 1, nullptr, 10);
  return sizes;
}

std::unique_ptr<mlir::bigm::cpu::ObjectCache> openCache(const CodeOptions &options) {
  std::string folder = cacheFolder();
  if (options.noCache || folder.empty())
    return nullptr;
  return std::make_unique<mlir::bigm::cpu::ObjectCache>(folder);
}

std::unique_ptr<mlir::bigm::cpu::CpuModule> toCpu(mlir::ModuleOp module, const std::string &target,
                                                  const CodeOptions &code, const mlir::bigm::cpu::ObjectCache *cache,
                                                  const std::string &stem, Messages &messages, int &exitCode) {
  mlir::bigm::cpu::CpuOptions options;
  options.target = cpuOf(target);
  options.stem = stem;
  options.cache = cache;
  options.explain = code.explain;
  options.marks = code.marks;
  TuningFile file;
  if (!code.tuning.empty()) {
    auto read = readTuning(code.tuning);
    if (!read) {
      exitCode = UserError;
      return nullptr;
    }
    file = std::move(*read);
    // Blocks of another processor are no error: a library may hold code for several.
    if (file.target == target && file.cpu == processorOf(target))
      options.tuning = &file.contractions;
  }
  if (code.blocks)
    options.tuning = code.blocks;
  auto cpu = mlir::bigm::cpu::CpuModule::lower(module, options);
  if (!cpu)
    exitCode = bug("no code for `" + target + "`: " + messages.text);
  return cpu;
}

/// The part of the manifest that the plan decides: arguments in the order of an entry's buffers, and its arena.
const char *nameOf(mlir::bigm::cpu::Access access) {
  using mlir::bigm::cpu::Access;
  return access == Access::Read ? "read" : access == Access::Write ? "write" : "update";
}
nlohmann::ordered_json preparedOf(const mlir::bigm::cpu::EntryArgument &argument) {
  return {{"name", "prepared." + std::to_string(argument.prepared)},
          {"role", "prepared"},
          {"prepared", argument.prepared},
          {"access", nameOf(argument.access)}};
}
nlohmann::ordered_json termsOf(const std::vector<mlir::bigm::BytesTerm> &terms, const std::vector<std::string> &symbols) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const auto &term : terms) {
    nlohmann::ordered_json of = nlohmann::ordered_json::array();
    for (unsigned symbol : term.of)
      of.push_back(symbols[symbol]);
    list.push_back({{"bytes", term.bytes}, {"of", of}});
  }
  return list;
}
/// `digits.bigm:3:5`; empty where there is none.
std::string placeOf(SourceRange where, const SourceManager &sources) {
  if (!where.valid())
    return "";
  LineColumn place = sources.place(where.file, where.begin);
  return std::filesystem::path(sources.name(where.file)).filename().string() + ":" + std::to_string(place.line) + ":" +
         std::to_string(place.column);
}
/// What must not be negative, as [expression, place in the program].
nlohmann::ordered_json requirementsOf(const Function &f, const SourceManager &sources) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Requirement &requirement : bigm::requirementsOf(f)) {
    list.push_back({requirement.notNegative.str(), placeOf(requirement.where, sources)});
  }
  return list;
}
nlohmann::ordered_json functionOf(const Function &f, const mlir::bigm::cpu::EntryPlan &plan, const SourceManager &sources) {
  nlohmann::ordered_json args = nlohmann::ordered_json::array();
  std::map<size_t, IdBound> bounds;
  for (const IdBound &bound : idBoundsOf(f))
    bounds.emplace(bound.input, bound);
  static const char *const roles[] = {"input", "tensor", "seed", "step", "steps"};
  for (const auto &argument : plan.arguments) {
    nlohmann::ordered_json j;
    if (argument.prepared >= 0) {
      j = preparedOf(argument);
    } else if (argument.argument >= 0) {
      const Arg &a = f.args[argument.argument];
      j = {{"name", a.name}, {"role", roles[static_cast<int>(a.role)]}};
      if (a.role == Role::Tensor)
        j.update({{"tensor", a.tensor}, {"access", nameOf(argument.access)}});
      else
        j.update(describeType(a.type));
      if (auto bound = bounds.find(size_t(argument.argument)); bound != bounds.end())
        j["below"] = {bound->second.rows, placeOf(bound->second.where, sources)};
    } else {
      const Output &o = f.outputs[argument.result];
      j = {{"name", o.name}};
      if (o.tensor >= 0) {
        j.update({{"role", "tensor"}, {"tensor", o.tensor}, {"access", "write"}});
      } else {
        j["role"] = "output";
        j.update(describeType(f.types[o.value]));
      }
    }
    args.push_back(std::move(j));
  }
  nlohmann::ordered_json function = {
      {"name", f.name}, {"symbols", f.symbols}, {"args", args}, {"arena", termsOf(plan.arena, f.symbols)}};
  if (!plan.leastSizes.empty())
    function["least_sizes"] = plan.leastSizes;
  if (plan.slices)
    function["slices"] = {{"of", f.symbols[plan.slices->symbol]}, {"weights", plan.slices->weights}, {"pays", termsOf(plan.slices->pays, f.symbols)}};
  if (nlohmann::ordered_json list = requirementsOf(f, sources); !list.empty())
    function["not_negative"] = std::move(list);
  return function;
}
/// The function that computes the prepared values: tensors in, prepared values out.
nlohmann::ordered_json prepareOf(const Program &program, const mlir::bigm::cpu::EntryPlan &plan) {
  nlohmann::ordered_json args = nlohmann::ordered_json::array();
  for (const auto &argument : plan.arguments)
    if (argument.prepared >= 0)
      args.push_back(preparedOf(argument));
    else
      args.push_back({{"name", program.tensors[size_t(argument.tensor)].name},
                      {"role", "tensor"},
                      {"tensor", argument.tensor},
                      {"access", "read"}});
  return {{"name", "prepare"}, {"symbols", nlohmann::ordered_json::array()}, {"args", args}, {"arena", termsOf(plan.arena, {})}};
}

/// What a manifest says of the code for one target.
nlohmann::ordered_json codeOf(const Program &program, const SourceManager &sources, const std::string &target,
                              const mlir::bigm::cpu::CpuModule &cpu) {
  nlohmann::ordered_json code = {{"target", target}, {"needs", featuresNeeded(target)}};
  code["functions"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < cpu.plan().size(); ++i)
    code["functions"].push_back(functionOf(program.functions[i], cpu.plan()[i], sources));
  if (cpu.preparePlan()) {
    code["prepared"] = cpu.preparedBytes();
    code["prepare"] = prepareOf(program, *cpu.preparePlan());
  }
  return code;
}
} // namespace

std::vector<std::pair<std::string, std::string_view>> givenTensors(const Program &program) {
  std::vector<std::pair<std::string, std::string_view>> all;
  for (const TensorDecl &t : program.tensors)
    if (t.initial.owner)
      all.emplace_back(t.name, t.initial.view);
  return all;
}

std::unique_ptr<Checked> checkProgram(const std::string &file, const std::vector<std::string> &sets, const std::string &data) {
  Overrides overrides;
  for (const std::string &set : sets) {
    size_t equal = set.find('=');
    if (equal == std::string::npos || equal == 0) {
      userError("`--set " + set + "` is not PATH=VALUE, e.g. train.digit_model.all.epochs=2");
      return nullptr;
    }
    overrides.emplace_back(set.substr(0, equal), set.substr(equal + 1));
  }
  auto checked = std::make_unique<Checked>();
  if (!data.empty())
    checked->sources.folders.push_back(data);
  Diagnostics diags(checked->sources);
  auto program = bigm::check(checked->sources, file, diags, overrides);
  for (uint32_t i = 0; i < checked->sources.size(); ++i)
    addToReproducer(checked->sources.name(i), std::string(checked->sources.text(i)));
  if (!program) {
    diags.print(std::cerr, ::isatty(2) && !std::getenv("NO_COLOR"));
    return nullptr;
  }
  checked->program = std::move(*program);
  checked->sourceSha256 = digestOf(checked->sources);
  return checked;
}

std::optional<Compiled> compile(const Checked &checked, const CodeOptions &code, int &exitCode) {
  return compile(checked.program, checked.sources, checked.sourceSha256, code, exitCode);
}

std::optional<Compiled> compile(const Program &program, const SourceManager &sources, const std::string &sourceSha256,
                                const CodeOptions &code, int &exitCode) {
  mlir::MLIRContext context;
  prepare(context);
  Messages messages(context);
  Compiled compiled;
  compiled.stem = artifact::identifier(program.name);

  // The typed program as functions of the dialect, with every gradient expanded.
  auto module = toDialect(program, sources, context, "", /*differentiate=*/true, messages, exitCode);
  if (!module)
    return std::nullopt;
  addToReproducer("ir", print(*module));
  auto cache = openCache(code);
  // For each target, fused kernels with every buffer in its place.
  compiled.targets = inOrder(targetsOf(code));
  std::vector<std::unique_ptr<mlir::bigm::cpu::CpuModule>> variants;
  for (const std::string &target : compiled.targets)
    if (!variants.emplace_back(toCpu(*module, target, code, cache.get(), compiled.stem, messages, exitCode)))
      return std::nullopt;
  // What the drivers and the headers need to know, with the plans in it.
  auto manifest = manifestOf(program, {sourceSha256, "bigmc " BIGM_VERSION});
  std::vector<std::string> entries;
  for (size_t i = 0; i < variants.size(); ++i) {
    auto own = codeOf(program, sources, compiled.targets[i], *variants[i]);
    if (i == 0) {
      manifest.update(own);
    } else {
      own["first_entry"] = entries.size();
      manifest["variants"].push_back(own);
    }
    entries.insert(entries.end(), variants[i]->entries().begin(), variants[i]->entries().end());
  }
  compiled.manifest = manifest.dump();
  // Machine code, then the manifest as an object.
  std::vector<mlir::bigm::cpu::ObjectFile> objects;
  bool made = llvm::all_of(variants, [&](auto &variant) { return mlir::succeeded(variant->emitObjects(objects)); });
  if (!made || mlir::failed(mlir::bigm::cpu::emitExports(compiled.stem, entries, compiled.manifest, objects.emplace_back()))) {
    exitCode = bug("no machine code: " + messages.text);
    return std::nullopt;
  }
  for (size_t i = 0; code.explain && i < variants.size(); ++i)
    for (auto &report : variants[i]->report(sizesOf(code), defaultSize)) {
      if (variants.size() > 1)
        report.name += " for " + compiled.targets[i];
      compiled.reports.push_back(std::move(report));
    }
  compiled.tunables = variants.front()->tunables();
  for (auto &object : objects)
    compiled.objects.push_back({std::move(object.name), std::move(object.bytes)});
  return compiled;
}

bool inDialect(const Checked &checked, const std::string &function, int &exitCode,
               const std::function<void(mlir::func::FuncOp)> &use) {
  mlir::MLIRContext context;
  prepare(context);
  Messages messages(context);
  Program alone;
  alone.name = checked.program.name;
  for (const Function &f : checked.program.functions)
    if (f.name == function)
      alone.functions = {f};
  auto module = toDialect(alone, checked.sources, context, "", /*differentiate=*/false, messages, exitCode);
  if (!module)
    return false;
  mlir::PassManager passes(&context);
  mlir::bigm::addSimplify(passes);
  passes.addPass(mlir::bigm::createAutodiff());
  mlir::bigm::addSimplify(passes);
  if (mlir::failed(passes.run(*module))) {
    exitCode = bug("differentiation failed: " + messages.text);
    return false;
  }
  for (auto f : module->getOps<mlir::func::FuncOp>())
    if (f.isPublic()) { // steps of scans are private
      use(f);
      return true;
    }
  exitCode = bug("the function `" + function + "` is not there any more");
  return false;
}

std::optional<std::string> textOf(const Checked &checked, const std::string &stage, const std::string &model,
                                  const CodeOptions &code, int &exitCode) {
  mlir::MLIRContext context;
  prepare(context);
  Messages messages(context);
  auto module = toDialect(checked.program, checked.sources, context, model, stage != "ir", messages, exitCode);
  if (!module)
    return std::nullopt;
  if (module->getBody()->empty()) {
    std::vector<std::string> names;
    for (const Function &f : checked.program.functions)
      names.push_back(f.name);
    std::string near = didYouMean(model, names);
    exitCode = userError("no function's name starts with `" + model + "`" +
                         (near.empty() ? "" : "; did you mean `" + near + "`?"));
    return std::nullopt;
  }
  if (stage == "ir" || stage == "grad")
    return print(*module);
  CodeOptions how = code;
  how.explain = stage == "fused";
  auto cpu = toCpu(*module, targetsOf(how).front(), how, nullptr, artifact::identifier(checked.program.name), messages, exitCode);
  if (!cpu)
    return std::nullopt;
  std::string text = cpu->dumpAt(stage);
  if (how.explain) {
    text += "\n// What each kernel does, and why it is apart from those that it reads.\n";
    for (const auto &report : cpu->report(sizesOf(how), defaultSize))
      text += fusionComments(report);
  }
  return text;
}

} // namespace bigm::tool
