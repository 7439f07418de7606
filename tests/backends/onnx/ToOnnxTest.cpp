// Every model of ops.bigm and of the zoo's kinds: written, read with the importer, and both run by the reference backend on
// the same numbers, at two sizes. What ONNX Runtime makes of the files is compare.py's question.
#include "backends/onnx/ToOnnx.h"
#include "backends/ref/Ref.h"
#include "frontend/Frontend.h"
#include "frontend/emit/Emit.h"
#include "frontend/onnx/Onnx.h"
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include <cmath>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <unistd.h>

using namespace bigm;
namespace fs = std::filesystem;
namespace to_onnx = mlir::bigm::to_onnx;
using RefTensor = mlir::bigm::ref::Tensor;
using testing::HasSubstr;

namespace {

/// A folder that is gone afterwards.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("bigm-to-onnx-" + std::to_string(getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string write(const std::string &name, const std::string &text) const {
    std::ofstream(path / name) << text;
    return (path / name).string();
  }
};

struct Checked {
  SourceManager sources;
  Diagnostics diags{sources};
  std::optional<Program> program;
  explicit Checked(const std::string &file) : program(check(sources, file, diags)) {
    std::ostringstream errors;
    diags.print(errors, false);
    EXPECT_TRUE(program) << errors.str();
  }
};

/// One function in the dialect, as `bigmc build --format onnx` writes it.
struct Lowered {
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
  Lowered(const Checked &checked, const std::string &name) {
    Program alone;
    alone.name = "test";
    for (const Function &f : checked.program->functions)
      if (f.name == name)
        alone.functions = {f};
    module = emitProgram(alone, checked.sources, context);
    mlir::PassManager passes(&context);
    mlir::bigm::addSimplify(passes);
    passes.addPass(mlir::bigm::createAutodiff());
    mlir::bigm::addSimplify(passes);
    EXPECT_TRUE(mlir::succeeded(passes.run(*module)));
    function = *module->getOps<mlir::func::FuncOp>().begin();
  }
};

/// Random elements of every tensor of a program, as numbers and as bytes.
struct Weights {
  std::vector<RefTensor> numbers;
  std::vector<std::string> bytes;
  explicit Weights(const Program &program) {
    std::mt19937 random(3);
    for (const TensorDecl &t : program.tensors) {
      RefTensor &n = numbers.emplace_back();
      int64_t count = 1;
      for (const Dim &d : t.type.shape)
        count *= n.shape.emplace_back(*d.constant());
      std::string &b = bytes.emplace_back();
      for (int64_t i = 0; i < count; ++i) {
        float x = float(random() % 2000) / 1000 - (t.name.find("var") == std::string::npos ? 1 : 0);
        n.data.push_back(x);
        b.append(reinterpret_cast<const char *>(&x), sizeof x);
      }
    }
  }
};

const std::map<std::string, int64_t> sizes = {{"N", 2}, {"T", 5}, {"H", 11}, {"W", 8}};

std::vector<RefTensor> inputsOf(const Function &f, int64_t more) {
  std::mt19937 random(7);
  std::vector<RefTensor> all;
  for (const Arg &arg : f.args) {
    if (arg.role != Role::Input)
      continue;
    RefTensor &t = all.emplace_back();
    int64_t count = 1;
    for (const Dim &d : arg.type.shape)
      count *= t.shape.emplace_back(d.constant() ? *d.constant() : sizes.at(*d.asSymbol()) + more);
    bool real = arg.type.elem == Elem::F32;
    for (int64_t i = 0; i < count; ++i)
      t.data.push_back(real ? double(float(random() % 4000) / 1000 - 2) : double(random() % 9));
  }
  return all;
}

std::vector<RefTensor> run(mlir::func::FuncOp function, const Function &f, const std::vector<RefTensor> &inputs, int64_t more,
                           const std::function<RefTensor(int)> &tensor) {
  std::vector<RefTensor> arguments;
  size_t next = 0;
  for (const Arg &arg : f.args)
    arguments.push_back(arg.role == Role::Tensor ? tensor(arg.tensor) : inputs.at(next++));
  std::vector<int64_t> symbols;
  for (const std::string &name : f.symbols)
    symbols.push_back(sizes.at(name) + more);
  auto results = mlir::bigm::ref::run(function, arguments, symbols, mlir::bigm::ref::Mode::Double);
  EXPECT_TRUE(mlir::succeeded(results)) << f.name;
  return mlir::succeeded(results) ? *results : std::vector<RefTensor>();
}

const Function &named(const Program &program, const std::string &name) {
  return *std::find_if(program.functions.begin(), program.functions.end(), [&](auto &f) { return f.name == name; });
}

/// Elements of an imported tensor.
RefTensor numbersOf(const TensorDecl &t) {
  RefTensor out;
  int64_t count = 1;
  for (const Dim &d : t.type.shape)
    count *= out.shape.emplace_back(*d.constant());
  for (int64_t i = 0; i < count; ++i) {
    auto at = [&](auto zero) {
      std::memcpy(&zero, t.initial.view.data() + i * int64_t(sizeof zero), sizeof zero);
      return double(zero);
    };
    out.data.push_back(t.type.elem == Elem::F32   ? at(0.0f)
                       : t.type.elem == Elem::F64 ? at(0.0)
                       : t.type.elem == Elem::I64 ? at(int64_t())
                       : t.type.elem == Elem::I32 ? at(int32_t())
                                                  : at(uint8_t()));
  }
  return out;
}

void roundTrip(const Checked &checked, const std::string &name, const Folder &folder) {
  SCOPED_TRACE(name);
  const Program &program = *checked.program;
  const Function &f = named(program, name);
  Lowered original(checked, name);
  Weights weights(program);
  to_onnx::Options options;
  options.weights = [&](int64_t tensor) -> std::string_view { return weights.bytes[size_t(tensor)]; };
  std::string error, path = (folder.path / "written.onnx").string();
  auto refusals = to_onnx::write(original.function, options, path, error);
  ASSERT_TRUE(refusals.empty()) << refusals[0].what;
  ASSERT_EQ(error, "");
  // Names and sizes are the program's.
  auto file = onnx::read(path, error);
  ASSERT_TRUE(file) << error;
  EXPECT_GE(file->opsets.at(""), 17);
  size_t next = 0;
  for (const Arg &arg : f.args)
    if (arg.role == Role::Input) {
      const onnx::Info &input = file->graph.inputs.at(next++);
      EXPECT_EQ(input.name, arg.name);
      for (size_t d = 0; d < arg.type.shape.size(); ++d)
        if (auto symbol = arg.type.shape[d].asSymbol())
          EXPECT_EQ(std::get<std::string>(input.shape->at(d)), *symbol);
        else
          EXPECT_EQ(std::get<int64_t>(input.shape->at(d)), *arg.type.shape[d].constant());
    }
  for (size_t i = 0; i < f.outputs.size(); ++i)
    EXPECT_THAT(file->graph.outputs.at(i).name, HasSubstr(f.outputs[i].name));

  Checked again(folder.write("again.bigm", "model again from onnx(\"written.onnx\")\ndeploy again { target cpu:host }\n"));
  ASSERT_TRUE(again.program);
  Lowered imported(again, "again.forward");
  const Function &g = named(*again.program, "again.forward");
  for (int64_t more : {0, 3}) {
    auto inputs = inputsOf(f, more);
    auto want = run(original.function, f, inputs, more, [&](int t) { return weights.numbers[size_t(t)]; });
    auto got = run(imported.function, g, inputs, more, [&](int t) { return numbersOf(again.program->tensors[size_t(t)]); });
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_EQ(got[i].shape, want[i].shape);
      double most = 1e-30, apart = 0;
      for (size_t k = 0; k < want[i].data.size(); ++k) {
        most = std::max(most, std::fabs(want[i].data[k]));
        apart = std::max(apart, std::fabs(got[i].data[k] - want[i].data[k]));
      }
      EXPECT_LE(apart / most, 1e-5);
    }
  }
}

TEST(ToOnnx, EveryOperationKeepsItsMeaning) {
  Folder folder;
  Checked checked(BIGM_ONNX_INPUTS "/Inputs/ops.bigm");
  ASSERT_TRUE(checked.program);
  for (const TrainProgram &train : checked.program->trains)
    roundTrip(checked, train.forward, folder);
}

TEST(ToOnnx, AllThatHasNoFormIsNamedWithItsLine) {
  Folder folder;
  Checked checked(folder.write("noise.bigm", R"(model Noise()(x: f32[N, 3], k: i32[N, 3]) -> f32[N, 3] {
  y = x + random_like(x)
  z = reshape(warp(reshape(y, [1, 1, N, 3]), full([1, 2, 3], 1), N, 3), [N, 3])
  z + f32(k)
}

deploy noise = Noise() { target cpu:host }
)"));
  ASSERT_TRUE(checked.program);
  Lowered lowered(checked, "noise.forward");
  std::string error, path = (folder.path / "noise.onnx").string();
  to_onnx::Options options;
  auto refusals = to_onnx::write(lowered.function, options, path, error);
  ASSERT_EQ(refusals.size(), 2u);
  EXPECT_EQ(refusals[0].line, 2u);
  EXPECT_THAT(refusals[0].what, HasSubstr("`random`"));
  EXPECT_EQ(refusals[1].line, 3u);
  EXPECT_THAT(refusals[1].what, HasSubstr("`warp`"));
  EXPECT_FALSE(fs::exists(path));
}

/// What has no form in a step is named like all else, and what stands behind the recurrence too.
TEST(ToOnnx, AStepWithoutAFormIsNamed) {
  Folder folder;
  Checked checked(folder.write("steps.bigm", R"(model Steps()(x: f32[T, N, 3], k: i32[N, 3]) -> f32[N, 3] {
  a = scan now in x from h = x[0] {
    h = h + now + reshape(warp(reshape(h, [1, 1, N, 3]), full([1, 2, 3], 1), N, 3), [N, 3])
  }
  b = scan now in x from h = a.h { h = h * now }
  b.h + random_like(b.h)
}

deploy steps = Steps() { target cpu:host }
)"));
  ASSERT_TRUE(checked.program);
  Lowered lowered(checked, "steps.forward");
  std::string error, path = (folder.path / "steps.onnx").string();
  auto refusals = to_onnx::write(lowered.function, to_onnx::Options{}, path, error);
  ASSERT_EQ(refusals.size(), 2u);
  EXPECT_THAT(refusals[0].what, HasSubstr("`warp`"));
  EXPECT_EQ(refusals[0].line, 3u);
  EXPECT_THAT(refusals[1].what, HasSubstr("`random`"));
  EXPECT_FALSE(fs::exists(path));
}

TEST(ToOnnx, ManyWeightsLieBesideTheModel) {
  Folder folder;
  Checked checked(folder.write("wide.bigm", R"(use std.nn

model Wide()(x: f32[N, 30]) -> f32[N, 20] { x |> Linear(20) |> Linear(20) }

deploy wide = Wide() { target cpu:host }
)"));
  ASSERT_TRUE(checked.program);
  Lowered lowered(checked, "wide.forward");
  Weights weights(*checked.program);
  to_onnx::Options options;
  options.atMostInside = 3000;
  options.weights = [&](int64_t tensor) -> std::string_view { return weights.bytes[size_t(tensor)]; };
  std::string error, path = (folder.path / "wide.onnx").string();
  ASSERT_TRUE(to_onnx::write(lowered.function, options, path, error).empty());
  EXPECT_GE(fs::file_size(path + ".data"), 4096 + 1600u);
  auto file = onnx::read(path, error);
  ASSERT_TRUE(file) << error;
  for (const onnx::Tensor &t : file->graph.initializers)
    for (size_t i = 0; i < weights.bytes.size(); ++i)
      if (checked.program->tensors[i].name == t.name)
        EXPECT_EQ(t.bytes.view, weights.bytes[i]) << t.name;
}

TEST(ToOnnx, AFolderThatIsNotThereIsAnError) {
  Folder folder;
  Checked checked(folder.write("same.bigm", "model Same()(x: f32[N]) -> f32[N] { x }\n\ndeploy same = Same() { target cpu:host }\n"));
  Lowered lowered(checked, "same.forward");
  std::string error;
  EXPECT_TRUE(to_onnx::write(lowered.function, {}, (folder.path / "none" / "same.onnx").string(), error).empty());
  EXPECT_THAT(error, HasSubstr("cannot write"));
}

} // namespace
