#include "backends/cpu/Tuning.h"
#include "backends/cpu/Contraction.h"
#include "backends/cpu/ObjectCache.h"
#include "backends/cpu/Winograd.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

/// Attribute beside a key: the contraction may run by Winograd's filtering.
static constexpr const char *windowAttr = "block_window";

std::string cpu::contractionKey(NestOp nest) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << nest.getSizes() << nest.getParallel() << nest.getKinds();
  for (LoadOp load : nest.getBody().front().getOps<LoadOp>()) {
    out << load.getTensor().getType() << load.getMap();
    llvm::interleave(layoutOf(load.getTensor()), out, ",");
  }
  return digestOf(text).substr(0, 16);
}

void cpu::applyTuning(func::FuncOp func, const Tuning &tuning, bool named) {
  Builder builder(func.getContext());
  for (NestOp nest : func.getBody().front().getOps<NestOp>()) {
    if (!nest.getContraction())
      continue;
    std::string key = contractionKey(nest);
    if (named) {
      nest->setAttr(blockKeyAttr, builder.getStringAttr(key));
      if (windowOf(nest))
        nest->setAttr(windowAttr, builder.getUnitAttr());
    }
    if (auto found = tuning.find(key); found != tuning.end()) {
      const BlockChoice &c = found->second;
      nest->setAttr(blockAttr,
                    builder.getDenseI64ArrayAttr({c.winograd, c.vectors, c.rows, c.steps, c.rowBlocks, c.columnBlocks}));
    }
  }
}

BlockChoice cpu::choiceOf(NestOp nest) {
  auto attr = nest->getAttrOfType<DenseI64ArrayAttr>(blockAttr);
  if (!attr)
    return {};
  ArrayRef<int64_t> v = attr.asArrayRef();
  return {v[0], v[1], v[2], v[3], v[4], v[5]};
}

static std::vector<BlockChoice> othersOf(const BlockChoice &now, bool window, Respect respect, const Target &target) {
  std::vector<BlockChoice> choices;
  auto add = [&](BlockChoice choice) {
    if (choice != now && !llvm::is_contained(choices, choice))
      choices.push_back(choice);
  };
  switch (respect) {
  case Respect::Method:
    if (window)
      for (int64_t side : {1, 2, 4})
        if (side != now.winograd)
          add({side}); // its other fields mean something else there
    break;
  case Respect::Block:
    if (now.winograd > 1)
      break;
    for (int64_t vectors : {1, 2, 3, 4}) {
      int64_t most = std::min<int64_t>(mostRows, (int64_t(target.registers) - 1 - vectors) / vectors);
      for (int64_t rows = most; rows > 0 && rows >= most - (vectors == 1 ? 4 : 2); --rows)
        if (rows * vectors >= 6) {
          BlockChoice choice = now;
          choice.vectors = vectors, choice.rows = rows;
          choice.rowBlocks = choice.columnBlocks = choice.steps = 0; // counted in blocks, which are others now
          add(choice);
        }
    }
    break;
  case Respect::Steps:
    if (now.winograd > 1)
      break;
    for (int64_t steps : {now.steps / 4, now.steps / 2, now.steps * 2, now.steps * 4, int64_t(1) << 30})
      if (steps >= 32) {
        BlockChoice choice = now;
        choice.steps = steps;
        add(choice);
      }
    break;
  case Respect::Unit:
    for (auto [rows, columns] : {std::pair(1, 2), std::pair(2, 1), std::pair(1, 4), std::pair(4, 1), std::pair(2, 4),
                                 std::pair(4, 2), std::pair(2, 8), std::pair(8, 2), std::pair(1, 1), std::pair(4, 4)}) {
      BlockChoice choice = now; // in halves of what is now
      choice.rowBlocks = std::max<int64_t>(1, now.rowBlocks * rows / 2);
      choice.columnBlocks = std::max<int64_t>(1, now.columnBlocks * columns / 2);
      add(choice);
    }
    break;
  }
  return choices;
}

void cpu::tunablesOf(func::FuncOp func, const Target &target, std::map<std::string, Tunable> &into) {
  for (NestOp nest : func.getBody().front().getOps<NestOp>()) {
    auto key = nest->getAttrOfType<StringAttr>(blockKeyAttr);
    if (!key || !nest.getContraction())
      continue;
    auto plan = planContraction(nest, target);
    if (!plan || plan->vectorsOfA || plan->onTiles || (plan->winograd && windowOf(nest)->toWeights))
      continue;
    Tunable tunable{key.str(), {}, nest->hasAttr(windowAttr), {}};
    BlockChoice &now = tunable.now;
    now.winograd = plan->winograd ? plan->winograd : 1;
    now.vectors = plan->vectors, now.rows = plan->tile, now.rowBlocks = plan->tiles, now.columnBlocks = plan->panels;
    if (!plan->winograd)
      now.steps = plan->stepsOfPass();
    for (Respect respect : respects)
      tunable.others[respect] = othersOf(now, tunable.window, respect, target);
    into.emplace(tunable.key, std::move(tunable));
  }
}
