// From source to the dialect: places, names and roles, and that a whole example means what it says, by running it on the
// reference backend.
#include "backends/ref/Ref.h"
#include "frontend/Frontend.h"
#include "frontend/emit/Emit.h"
#include "ir/Bigm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "gtest/gtest.h"
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <set>

using namespace mlir;
namespace dialect = mlir::bigm;

namespace {

struct Emit : testing::Test {
  MLIRContext context;
  ::bigm::SourceManager sources;
  ::bigm::Program program;
  OwningOpRef<ModuleOp> module;

  /// Checks an example, emits all of it, and expands its gradients.
  void load(const std::string &file) {
    const char *root = std::getenv("BIGM_SOURCE");
    ASSERT_TRUE(root) << "run by the suite, which sets BIGM_SOURCE";
    ::bigm::Diagnostics diags(sources);
    auto checked = ::bigm::check(sources, std::string(root) + "/" + file, diags);
    if (!checked)
      diags.print(std::cerr, false);
    ASSERT_TRUE(checked);
    program = std::move(*checked);
    module = ::bigm::emitProgram(program, sources, context);
    ASSERT_TRUE(succeeded(verify(*module)));
    PassManager manager(&context);
    dialect::addDifferentiate(manager);
    ASSERT_TRUE(succeeded(manager.run(*module)));
  }

  func::FuncOp function(StringRef name) {
    for (func::FuncOp op : module->getOps<func::FuncOp>())
      if (op.getName() == name)
        return op;
    return {};
  }
};

/// Runs functions of a program on persistent tensors, as the driver does.
struct Machine {
  std::vector<dialect::ref::Tensor> tensors;
  std::map<std::string, dialect::ref::Tensor> inputs;
  double seed = 1, step = 0, steps = 10;

  /// Results that the caller gets, by name; updates go to `tensors`.
  std::map<std::string, dialect::ref::Tensor> run(func::FuncOp op, int64_t symbol) {
    std::vector<dialect::ref::Tensor> arguments;
    for (unsigned i = 0; i < op.getNumArguments(); ++i) {
      StringRef role = op.getArgAttrOfType<StringAttr>(i, dialect::attrs::role).getValue();
      std::string name = op.getArgAttrOfType<StringAttr>(i, dialect::attrs::name).getValue().str();
      if (role == "tensor")
        arguments.push_back(tensors[op.getArgAttrOfType<IntegerAttr>(i, dialect::attrs::tensor).getInt()]);
      else if (role == "input")
        arguments.push_back(inputs[name]);
      else
        arguments.push_back({{}, {role == "seed" ? seed : role == "step" ? step : steps}});
    }
    size_t symbols = op->getAttrOfType<ArrayAttr>(dialect::attrs::symbols).size();
    auto results = dialect::ref::run(op, arguments, std::vector<int64_t>(symbols, symbol), dialect::ref::Mode::Typed);
    std::map<std::string, dialect::ref::Tensor> outputs;
    if (failed(results))
      return outputs;
    for (unsigned i = 0; i < op.getNumResults(); ++i) {
      if (auto tensor = op.getResultAttrOfType<IntegerAttr>(i, dialect::attrs::updates))
        tensors[tensor.getInt()] = (*results)[i];
      else
        outputs[op.getResultAttrOfType<StringAttr>(i, dialect::attrs::name).getValue().str()] = (*results)[i];
    }
    return outputs;
  }
};

TEST_F(Emit, DigitsTrainsOnTheReferenceBackend) {
  load("examples/digits/digits.bigm");
  const ::bigm::TrainProgram &train = program.trains.at(0);
  Machine machine;
  machine.tensors.resize(program.tensors.size());
  machine.run(function(train.init), 1);

  const int64_t batch = 2;
  dialect::ref::Tensor image{{batch, 1, 28, 28}, {}}, picture{{batch, 28, 28}, {}}, digit{{batch}, {3, 1}};
  for (int64_t i = 0; i < batch * 28 * 28; ++i) {
    double ink = (i / 784 + 2) * (i % 28) % 9 > 4;
    image.data.push_back(ink);
    picture.data.push_back(255 * ink);
  }
  machine.inputs = {{"image", image}, {"picture", picture}, {"digit", digit}};

  // With everything learned, the loss on one batch falls from step to step.
  func::FuncOp step = function(train.phases.back().step);
  ASSERT_TRUE(step);
  std::vector<double> losses;
  for (int i = 0; i < 3; ++i, machine.step += 60, machine.steps = 1000) {
    auto out = machine.run(step, batch);
    ASSERT_TRUE(out.count("loss"));
    losses.push_back(out["loss"].data.at(0));
  }
  EXPECT_NEAR(losses[0], std::log(10), 1.0); // an untrained guess over ten classes
  EXPECT_LT(losses.back(), losses.front());
  auto out = machine.run(function(train.forward), batch);
  EXPECT_FALSE(out.empty());
}

TEST_F(Emit, FrozenPhaseHasNoBackwardPart) {
  load("examples/digits/digits.bigm");
  const ::bigm::TrainProgram &train = program.trains.at(0);
  auto contractions = [&](StringRef name) {
    int count = 0;
    function(name).walk([&](dialect::ContractOp) { ++count; });
    return count;
  };
  auto phase = [&](StringRef name) {
    for (const ::bigm::PhaseProgram &p : train.phases)
      if (p.name == name)
        return contractions(p.step);
    return -1;
  };
  // Two convolutions and two linear layers forward. The head alone learns: two weights and one way through its second
  // layer. The whole: four weights, and the way back through all but the first layer.
  EXPECT_EQ(contractions(train.forward), 4);
  EXPECT_EQ(phase("head"), 4 + 2 + 1);
  EXPECT_EQ(phase("all"), 4 + 4 + 3);
}

TEST_F(Emit, OpsKnowTheirPlaceAndTheirModelInstance) {
  load("examples/digits/digits.bigm");
  std::set<std::string> scopes, library, callers;
  function(program.trains.at(0).forward).walk([&](Operation *op) {
    auto scope = dyn_cast<NameLoc>(op->getLoc());
    if (!scope)
      return;
    scopes.insert(scope.getName().str());
    // What stands in the library names the user's call that led there.
    if (auto call = dyn_cast<CallSiteLoc>(scope.getChildLoc())) {
      library.insert(cast<FileLineColLoc>(call.getCallee()).getFilename().str());
      callers.insert(cast<FileLineColLoc>(call.getCaller()).getFilename().str());
    }
  });
  EXPECT_TRUE(scopes.count("digit_model.stem.conv2d"));
  EXPECT_TRUE(library.count("std.nn"));
  ASSERT_EQ(callers.size(), 1u);
  EXPECT_NE(callers.begin()->find("digits.bigm"), std::string::npos);
}

} // namespace
