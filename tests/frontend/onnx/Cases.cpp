// Runs ONNX backend test cases: `bigm-onnx-cases [--cpu | --only-cpu] FOLDER...`, each folder holding model.onnx and data sets as the
// onnx package writes them. Prints one JSON object a case: {"case", "operator", "status", "why", "constants"}.
//
// A case is imported, and what is recorded runs on the reference backend (with --cpu also
// compiled, with --only-cpu compiled alone). Operands that decide
// sizes are inputs in these tests, where exporters write constants: a case that cannot be imported because an operand is
// not known is tried again with small inputs as constants, and then says how many.
#include "backends/ref/Ref.h"
#include "frontend/emit/Emit.h"
#include "frontend/sema/Onnx.h"
#include "frontend/sema/OnnxFold.h"
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "tests/backends/cpu/Harness.h"
#include <cmath>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace fs = std::filesystem;
namespace import = bigm::sema::onnx_import;
using bigm::onnx::Type;

namespace {

std::string contents(const fs::path &path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

struct Tensors : import::Store {
  bigm::sema::Recorder &rec;
  bigm::Program program;
  std::vector<bigm::Bytes> bytes;
  explicit Tensors(bigm::sema::Recorder &rec) : rec(rec) {}
  bigm::Value tensor(const std::string &name, bigm::TensorDecl::Kind kind, const bigm::TensorType &type,
                     bigm::Bytes data) override {
    std::string known = name.empty() ? "constant_" + std::to_string(bytes.size()) : name;
    for (size_t i = 0; i < program.tensors.size(); ++i)
      if (program.tensors[i].name == known)
        return rec.tensor(int(i), program.tensors[i]);
    program.tensors.push_back({kind, known, type, {}});
    bytes.push_back(data);
    return rec.tensor(int(bytes.size()) - 1, program.tensors.back());
  }
};

using RefTensor = mlir::bigm::ref::Tensor;
RefTensor toRef(const bigm::onnx::Tensor &t) { return {t.shape, import::numbersOf(t)}; }

RefTensor toRef(const bigm::TensorType &type, const bigm::Bytes &bytes) {
  static const std::map<bigm::Elem, Type> types = {
      {bigm::Elem::F32, Type::F32}, {bigm::Elem::F64, Type::F64}, {bigm::Elem::F16, Type::F16}, {bigm::Elem::BF16, Type::BF16},
      {bigm::Elem::I64, Type::I64}, {bigm::Elem::I32, Type::I32}, {bigm::Elem::I8, Type::I8},   {bigm::Elem::U8, Type::U8},
      {bigm::Elem::Bool, Type::Bool}};
  bigm::onnx::Tensor t;
  t.type = types.at(type.elem);
  for (const bigm::Dim &d : type.shape)
    t.shape.push_back(*d.constant());
  t.bytes = bytes;
  return toRef(t);
}

struct Outcome {
  std::string status, why;
  int constants = 0;
  bool needsKnown = false;
};

bool near(double got, double want, double rtol, double atol) {
  if (std::isnan(want))
    return std::isnan(got);
  if (std::isinf(want) || std::isinf(got))
    return got == want;
  return std::fabs(got - want) <= atol + rtol * std::fabs(want);
}

struct Case {
  std::shared_ptr<const bigm::onnx::Model> model;
  std::vector<std::shared_ptr<const bigm::onnx::Tensor>> inputs, outputs;
  double rtol = 1e-3, atol = 1e-7;
};

std::string compare(const std::vector<RefTensor> &got, const Case &test, const std::vector<import::Val> &values) {
  for (size_t i = 0; i < got.size(); ++i) {
    const bigm::onnx::Tensor &want = *test.outputs[i];
    if (values[i].type != want.type)
      return fmt::format("output {} is {}, expected {}", i, name(values[i].type), name(want.type));
    if (got[i].shape != want.shape)
      return fmt::format("output {} has another shape", i);
    std::vector<double> numbers = import::numbersOf(want);
    for (size_t k = 0; k < numbers.size(); ++k)
      if (!near(got[i].data[k], numbers[k], test.rtol, test.atol))
        return fmt::format("output {} has {} at {}, expected {}", i, got[i].data[k], k, numbers[k]);
  }
  return "";
}

Outcome attempt(const Case &test, mlir::MLIRContext &context, int constants, bool reference, bool cpu) {
  using namespace import;
  Outcome out;
  out.constants = 0;
  bigm::sema::Recorder rec("f");
  ::Tensors store(rec);
  import::Tensors tensors(rec, store);
  Evaluation evaluation(*test.model, tensors);
  Vals inputs;
  auto &declared = test.model->graph.inputs;
  try {
    for (size_t i = 0; i < declared.size() && i < test.inputs.size(); ++i) {
      auto &t = test.inputs[i];
      bool number = t->shape.size() <= 1 && bigm::onnx::countOf(t->shape).value_or(0) <= 16;
      bool constant = (constants >= 1 && number && (i > 0 || constants >= 2)) ||
                      (constants >= 2 && number && !isFloat(t->type)) || (constants >= 3 && number);
      if (constant) {
        ++out.constants;
        inputs.push_back(tensors.fromFile(t, true));
        continue;
      }
      auto elem = elemOf(t->type);
      if (!elem)
        refuse(std::string("the type ") + bigm::onnx::name(t->type));
      bigm::TensorType type{*elem, {}, 0};
      for (int64_t d : t->shape)
        type.shape.push_back(d);
      inputs.push_back(tensors.recorded(rec.input(declared[i].name, type, {}), t->type));
    }
    Vals results = evaluation.run(inputs);
    if (!evaluation.problems.empty()) {
      out.status = "not supported";
      for (auto &p : evaluation.problems) {
        out.why += (out.why.empty() ? "" : "; ") + p.op + ": " + p.why;
        out.needsKnown |= p.needsKnown;
      }
      return out;
    }
    results.resize(std::min(results.size(), test.outputs.size()));
    for (size_t i = 0; i < results.size(); ++i)
      rec.output("y" + std::to_string(i), tensors.use(results[i]));
    store.program.functions.push_back(rec.finish(store.program.tensors, true));
    const bigm::Function &function = store.program.functions[0];
    if (!function.symbols.empty())
      return {"failed", "a size is not known", out.constants, false};
    bigm::SourceManager sources;
    auto module = bigm::emitProgram(store.program, sources, context);
    if (mlir::failed(mlir::verify(*module)))
      return {"failed", "what is recorded does not verify", out.constants, false};
    std::vector<RefTensor> arguments;
    for (const bigm::Arg &arg : function.args) {
      if (arg.role == bigm::Role::Tensor)
        arguments.push_back(toRef(arg.type, store.bytes[size_t(arg.tensor)]));
      else if (arg.role == bigm::Role::Input) {
        for (size_t i = 0; i < declared.size(); ++i)
          if (declared[i].name == arg.name)
            arguments.push_back(toRef(*test.inputs[i]));
      } else {
        arguments.push_back({{}, {1}});
      }
    }
    auto f = *module->getOps<mlir::func::FuncOp>().begin();
    if (reference) {
      auto got = mlir::bigm::ref::run(f, arguments, {}, mlir::bigm::ref::Mode::Typed);
      if (mlir::failed(got))
        return {"failed", "the reference backend cannot run it", out.constants, false};
      out.why = compare(*got, test, results);
    }
    if (out.why.empty() && cpu) {
      std::string text;
      llvm::raw_string_ostream(text) << *module;
      bigm::test::Loaded loaded(context, text, "cpu:host");
      out.why = loaded.ok() ? compare(loaded.run(arguments, {}, 2), test, results) : "it does not compile";
      if (!out.why.empty())
        out.why = "cpu: " + out.why;
    }
    out.status = out.why.empty() ? "passed" : "failed";
  } catch (const Refusal &r) {
    return {"not supported", r.why, out.constants, r.needsKnown};
  }
  return out;
}

Outcome run(const fs::path &folder, mlir::MLIRContext &context, bool reference, bool cpu) {
  Case test;
  std::string error;
  test.model = bigm::onnx::read((folder / "model.onnx").string(), error);
  if (!test.model)
    return {"not supported", error, 0, false};
  fs::path data = folder / "test_data_set_0";
  auto tensorsOf = [&](const char *kind, auto &list) {
    for (int i = 0; fs::exists(data / fmt::format("{}_{}.pb", kind, i)); ++i) {
      auto t = bigm::onnx::readTensor(contents(data / fmt::format("{}_{}.pb", kind, i)), error);
      if (!t || t->type == Type::String)
        return false;
      list.push_back(t);
    }
    return true;
  };
  if (!tensorsOf("input", test.inputs) || !tensorsOf("output", test.outputs))
    return {"not supported", "an input or output is no tensor of numbers", 0, false};
  std::ifstream tolerance(data / "tolerance");
  tolerance >> test.rtol >> test.atol;
  Outcome out;
  for (int constants = 0; constants <= 3; ++constants) {
    out = attempt(test, context, constants, reference, cpu);
    if (!out.needsKnown)
      break;
  }
  return out;
}

} // namespace

int main(int argc, char **argv) {
  bool reference = true, cpu = false;
  auto context = bigm::test::makeContext();
  std::string said;
  context->getDiagEngine().registerHandler([&](mlir::Diagnostic &d) { said += d.str() + "; "; });
  for (int i = 1; i < argc; ++i) {
    if (std::string option = argv[i]; option == "--cpu" || option == "--only-cpu") {
      cpu = true;
      reference = option == "--cpu";
      continue;
    }
    said.clear();
    std::cout << nlohmann::json({{"case", fs::path(argv[i]).filename().string()}}) << std::endl; // names a case that crashes
    Outcome o = run(argv[i], *context, reference, cpu);
    std::cout << nlohmann::json({{"case", fs::path(argv[i]).filename().string()}, {"status", o.status},
                                 {"why", o.why + (said.empty() ? "" : " (" + said.substr(0, 300) + ")")},
                                 {"constants", o.constants}}).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
              << std::endl;
  }
}
