#include "backends/cpu/KernelCache.h"
#include "backends/cpu/Attention.h"
#include "backends/cpu/Contraction.h"
#include "backends/cpu/EmitScatter.h"
#include "backends/cpu/ObjectCache.h"
#include "backends/cpu/PadInPlace.h"
#include "backends/cpu/Panels.h"
#include "backends/cpu/Tuning.h"
#include "backends/cpu/Winograd.h"
#include "llvm/Support/raw_ostream.h"
#include "passes/Band.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

SmallVector<Value> cpu::tensorsOf(NestOp nest) {
  SmallVector<Value> tensors;
  nest->walk([&](LoadOp load) {
    if (!llvm::is_contained(tensors, load.getTensor()))
      tensors.push_back(load.getTensor());
  });
  return tensors;
}

/// What a nest computes, as text: equal keys are equal code.
static std::string textOf(NestOp nest) {
  std::string key;
  llvm::raw_string_ostream out(key);
  SmallVector<Value> tensors = tensorsOf(nest);
  DenseMap<Value, unsigned> numbers;
  auto layout = [&](ArrayRef<int64_t> dims) { llvm::interleave(dims, out, ","); };
  out << nest.getSizes() << nest.getParallel() << nest.getKinds() << nest.getContraction() << '\n';
  for (StringRef name : {StringRef(onTilesAttr), StringRef(onDotsAttr), StringRef(winogradAttr), StringRef(marginsAttr),
                         StringRef(Panels::attr), StringRef(blockAttr), StringRef(bandAttr)})
    if (Attribute attribute = nest->getAttr(name))
      out << name << attribute;
  for (Value tensor : tensors) {
    out << tensor.getType();
    layout(layoutOf(tensor));
  }
  for (unsigned i = 0; i < nest.getNumResults(); ++i) {
    out << "->" << nest.getResult(i).getType();
    layout(nest.layout(i));
  }
  for (Region &region : nest->getRegions())
    for (Block &block : region) {
      for (Value argument : block.getArguments())
        numbers.try_emplace(argument, numbers.size());
      for (Operation &op : block) {
        out << '\n' << op.getName() << op.getAttrDictionary();
        for (Value operand : op.getOperands()) {
          auto tensor = llvm::find(tensors, operand);
          if (tensor != tensors.end())
            out << " t" << tensor - tensors.begin();
          else
            out << " " << numbers.lookup(operand);
        }
        for (Value result : op.getResults()) {
          numbers.try_emplace(result, numbers.size());
          out << ":" << result.getType();
        }
      }
    }
  return key;
}

std::string KernelCache::nameOf(const std::string &key) const { return "_" + digestOf(identity + key).substr(0, 24); }

KernelCache::Kernel &KernelCache::of(NestOp nest, const Target &target, OpBuilder &outer) {
  std::string key = textOf(nest);
  auto [it, fresh] = kernels.try_emplace(key);
  Kernel &kernel = it->second;
  if (fresh) {
    auto contraction = planContraction(nest, target);
    Schedule s = contraction ? contraction->s : schedule(nest, target);
    ImplicitLocOpBuilder builder(nest.getLoc(), outer);
    builder.setInsertionPoint(outer.getInsertionBlock(), outer.getInsertionPoint());
    Emitter emitter(s, target, builder);
    std::string name = (contraction ? "contract" : nest.reduces() ? "reduce" : "point") + nameOf(key);
    kernel.launches = contraction ? emitContraction(emitter, *contraction, name) : emitNest(emitter, name);
    if (nest->hasAttr(marginsAttr) && !passesOn(nest))
      kernel.launches.insert(kernel.launches.begin(), emitMargins(emitter, name + "_margins"));
    kernel.slots = emitter.slots;
    SmallVector<Value> tensors = tensorsOf(nest);
    for (Slot &slot : kernel.slots)
      if (slot.kind == Slot::Tensor) {
        slot.result = llvm::find(tensors, slot.tensor) - tensors.begin();
        slot.tensor = {};
      }
  }
  nest->setAttr("kernel", outer.getStringAttr(kernel.launches.back().function)); // for who reads the dump
  return kernel;
}

KernelCache::Kernel &KernelCache::of(AttendOp attend, const Target &target, OpBuilder &outer) {
  std::string key = cpu::keyOf(attend);
  auto [it, fresh] = kernels.try_emplace(key);
  Kernel &kernel = it->second;
  if (fresh) {
    AttentionPlan plan(attend, target);
    ImplicitLocOpBuilder builder(attend.getLoc(), outer);
    builder.setInsertionPoint(outer.getInsertionBlock(), outer.getInsertionPoint());
    Schedule none; // sizes come as slots, expressions are not the emitter's
    Emitter emitter(none, target, builder);
    std::string name = "attend" + nameOf(key);
    if (attend.getCached())
      kernel.launches = emitCachedAttention(emitter, plan, name);
    else
      kernel.launches = {attend.getBackward() ? emitAttentionGrad(emitter, plan, name) : emitAttention(emitter, plan, name)};
    kernel.slots = emitter.slots;
  }
  attend->setAttr("kernel", outer.getStringAttr(kernel.launches.back().function));
  return kernel;
}

const std::string &KernelCache::of(ScatterOp scatter, const Target &target, OpBuilder &outer) {
  auto [it, fresh] = scatters.try_emplace({scatter.getUpdates().getType().getElementType(),
                                          scatter.getIds().getType().getElementType()});
  if (fresh) {
    std::string key;
    llvm::raw_string_ostream(key) << "scatter " << it->first.first << " " << it->first.second;
    it->second = "scatter" + nameOf(key);
    ImplicitLocOpBuilder builder(scatter.getLoc(), outer);
    builder.setInsertionPoint(outer.getInsertionBlock(), outer.getInsertionPoint());
    emitScatter(scatter, target, it->second, builder);
  }
  scatter->setAttr("kernel", outer.getStringAttr(it->second));
  return it->second;
}
