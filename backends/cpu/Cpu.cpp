// The road of the CPU backend, a step a line.
#include "backends/cpu/Cpu.h"
#include "backends/cpu/Attention.h"
#include "backends/cpu/Bands.h"
#include "backends/cpu/Chains.h"
#include "backends/cpu/Contraction.h"
#include "backends/cpu/EmitEntry.h"
#include "backends/cpu/EmitObject.h"
#include "backends/cpu/Emulate.h"
#include "backends/cpu/ObjectCache.h"
#include "backends/cpu/PackOperands.h"
#include "backends/cpu/PadInPlace.h"
#include "backends/cpu/Scan.h"
#include "ir/Bigm.h"
#include "ir/Dims.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Threading.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/LLVMContext.h"
#include "passes/Passes.h"
#include "passes/SymbolicArena.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;
using namespace mlir::bigm::kernel;

struct CpuModule::State {
  CpuOptions options;
  Target target;
  OwningOpRef<ModuleOp> code; // loops and vectors, then the LLVM dialect
  std::vector<EntryPlan> plan;
  std::optional<EntryPlan> prepare;
  std::vector<int64_t> preparedBytes;
  std::vector<std::string> entries;
  OwningOpRef<ModuleOp> planned; // nests with their places and the names of their kernels
  bool llvmDialect = false;
  std::string identity() const {
    return compilerIdentity() + target.cpu + target.features + std::to_string(target.nearBytes) + "/" +
           std::to_string(target.ownBytes) + "/" + std::to_string(target.cores) + (options.emulate ? "for " + options.target : "");
  }
};

CpuModule::CpuModule(std::unique_ptr<State> state) : state(std::move(state)) {}
CpuModule::~CpuModule() = default;
const std::vector<EntryPlan> &CpuModule::plan() const { return state->plan; }
const std::optional<EntryPlan> &CpuModule::preparePlan() const { return state->prepare; }
const std::vector<int64_t> &CpuModule::preparedBytes() const { return state->preparedBytes; }
const std::vector<std::string> &CpuModule::entries() const { return state->entries; }

void cpu::registerDialects(DialectRegistry &registry) {
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registry.insert<KernelDialect, LLVM::LLVMDialect, scf::SCFDialect, vector::VectorDialect, arith::ArithDialect,
                  math::MathDialect, func::FuncDialect>();
}

static std::string text(Operation *op) {
  std::string result;
  llvm::raw_string_ostream stream(result);
  op->print(stream, OpPrintingFlags().useLocalScope());
  return result;
}

/// The runtime's functions that entries may call.
static void declareRuntime(ModuleOp module) {
  ImplicitLocOpBuilder b(module.getLoc(), module.getContext());
  b.setInsertionPointToStart(module.getBody());
  Type p = LLVM::LLVMPointerType::get(b.getContext()), i64 = b.getI64Type(), i32 = b.getI32Type(), f32 = b.getF32Type();
  auto declare = [&](StringRef name, ArrayRef<Type> arguments) {
    LLVM::LLVMFuncOp::create(b, name, LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), arguments));
  };
  declare("bigm_rt_mark", {i64});
  declare("bigm_rt_parallel_for", {p, i64, i64, p, p});
  declare("bigm_rt_warp_f32", {p, p, p, p, i64, i64, i64, i64, i64, i64, f32});
  declare("bigm_rt_resize_f32", {p, p, p, i64, i64, i64, i64, i64, i64, i32, i32});
}

static EntryPlan planOf(func::FuncOp func) {
  EntryPlan plan;
  plan.name = func.getName().str();
  plan.arena = termsOf(func, arenaAttr);
  plan.liveBound = termsOf(func, liveBoundAttr);
  plan.leastSizes = leastSizesOf(func).vec();
  auto buffers = func->getAttrOfType<DenseI64ArrayAttr>("kernel.buffers").asArrayRef();
  int64_t count = func.getNumArguments();
  for (int64_t buffer : buffers)
    count = std::max(count, buffer + 1);
  plan.arguments.resize(count);
  auto ret = cast<func::ReturnOp>(func.getBody().front().getTerminator());
  for (unsigned i = 0; i < func.getNumArguments(); ++i)
    if (auto number = func.getArgAttrOfType<IntegerAttr>(i, attrs::prepared))
      plan.arguments[i].prepared = int(number.getInt());
    else
      plan.arguments[i].argument = int(i);
  for (auto [i, buffer] : llvm::enumerate(buffers)) {
    EntryArgument &argument = plan.arguments[buffer];
    if (argument.argument < 0) {
      if (auto number = func.getResultAttrOfType<IntegerAttr>(i, attrs::prepared))
        argument.prepared = int(number.getInt());
      else
        argument.result = int(i);
      argument.access = Access::Write;
    } else if (ret.getOperand(i) != func.getArgument(argument.argument)) {
      bool read = llvm::any_of(func.getArgument(argument.argument).getUsers(),
                               [](Operation *user) { return !isa<func::ReturnOp>(user); });
      argument.access = read ? Access::Update : Access::Write;
    }
  }
  return plan;
}

std::unique_ptr<CpuModule> CpuModule::lower(ModuleOp module, const CpuOptions &options) {
  auto state = std::make_unique<State>();
  state->options = options;
  auto target = parseTarget(options.target);
  if (!target) {
    module.emitError() << "unknown target `cpu:" << options.target << "`; known are " << knownCpus();
    return nullptr;
  }
  if (options.emulate) {
    auto host = parseTarget("host");
    target->cpu = host->cpu, target->features = host->features;
  }
  state->target = *target;
  MLIRContext *context = module.getContext();
  context->loadDialect<KernelDialect, LLVM::LLVMDialect, scf::SCFDialect, vector::VectorDialect, arith::ArithDialect,
                       math::MathDialect>();
  OwningOpRef<ModuleOp> work = module.clone();

  // What is computed together, and where it lies.
  PassManager passes(context);
  passes.enableVerifier(options.verify);
  passes.addPass(createFoldScales());
  passes.addNestedPass<func::FuncOp>(createSinkScales());
  passes.addNestedPass<func::FuncOp>(createWholeNumbers());
  passes.addNestedPass<func::FuncOp>(createSplitPhases());
  addSimplify(passes);
  passes.addNestedPass<func::FuncOp>(createToKernels());
  addSimplify(passes);
  passes.addNestedPass<func::FuncOp>(createFuseKernels());
  addSimplify(passes);
  if (options.explain) // after what joins equal nests: reasons differ from place to place
    passes.addNestedPass<func::FuncOp>(createExplainFusion());
  passes.addNestedPass<func::FuncOp>(createWidenFloats());
  passes.addNestedPass<func::FuncOp>(createChooseLayout());
  if (failed(passes.run(*work)))
    return nullptr;
  // Panels before hoisting: those of weights are then packed once.
  for (func::FuncOp func : work->getOps<func::FuncOp>()) {
    if (options.tuning)
      applyTuning(func, *options.tuning, options.explain);
    transformOperands(func, *target), padInPlace(func);
    findBands(func, *target); // panels are as wide as a row wants them
    packOperands(func, *target);
  }
  PassManager hoist(context);
  hoist.enableVerifier(options.verify);
  hoist.addPass(createHoistInvariant());
  hoist.addPass(createHoistPrepare());
  if (failed(hoist.run(*work)))
    return nullptr;
  for (func::FuncOp func : work->getOps<func::FuncOp>())
    findChains(func, *target, gatherBands(func, *target));
  // Sums that are split ask for scratch memory, then everything gets its place.
  work->walk([&](NestOp nest) {
    auto contraction = planContraction(nest, *target);
    AffineExpr bytes = contraction ? contraction->scratchBytes() : schedule(nest, *target).scratchBytes(*target);
    if (constantOf(bytes) != 0)
      nest->setAttr("scratch_bytes", AffineMapAttr::get(AffineMap::get(0, nest.symbols(), bytes)));
  });
  work->walk([&](AttendOp attend) {
    if (!attend.getCached())
      return;
    AffineMap sizes = attend.getSizes();
    AffineExpr bytes = AttentionPlan(attend, *target).scratchBytes();
    attend->setAttr("scratch_bytes", AffineMapAttr::get(AffineMap::get(0, sizes.getNumSymbols(), bytes)));
  });
  // A scan keeps its body's memory in its scratch.
  PassManager plan(context, func::FuncOp::getOperationName());
  plan.enableVerifier(options.verify);
  plan.addPass(createPlanMemory());
  for (func::FuncOp func : bodiesFirst(*work)) {
    askForScratch(func);
    if (failed(plan.run(func)))
      return nullptr;
  }

  // Kernels and entries.
  state->code = ModuleOp::create(module.getLoc());
  declareRuntime(*state->code);
  OpBuilder builder(context);
  builder.setInsertionPointToEnd(state->code->getBody());
  KernelCache cache;
  cache.identity = state->identity();
  // Kernels are named by what they are made from; entries need the target in their names.
  std::string prefix = options.stem + "_bigm_" + options.target + "_entry_";
  std::replace(prefix.begin(), prefix.end(), '-', '_');
  unsigned bodies = 0;
  for (func::FuncOp func : bodiesFirst(*work)) {
    if (!func.isPrivate())
      continue;
    std::string name = prefix + "step_" + std::to_string(bodies++);
    func->setAttr("kernel.entry", builder.getStringAttr(name));
    emitEntry(func, name, *target, builder, cache);
  }
  for (func::FuncOp func : work->getOps<func::FuncOp>()) {
    if (func.isPrivate())
      continue;
    EntryPlan entry = planOf(func);
    if (!options.marks) // what is timed runs alone
      entry.slices = batchSlicesOf(func, *target);
    state->entries.push_back(prefix + std::to_string(state->entries.size()));
    entry.kernels = emitEntry(func, state->entries.back(), *target, builder, cache, options.marks);
    if (!func->hasAttr(attrs::prepared)) {
      state->plan.push_back(std::move(entry));
      continue;
    }
    for (unsigned i = 0; i < func.getNumArguments(); ++i)
      entry.arguments[i].tensor = int(func.getArgAttrOfType<IntegerAttr>(i, attrs::tensor).getInt());
    for (Type type : func.getResultTypes())
      state->preparedBytes.push_back(*constantOf(elementCount(type)) * elementBytes(type));
    state->prepare = std::move(entry);
  }
  state->planned = std::move(work);
  if (options.emulate && failed(emulateInstructions(*state->code)))
    return nullptr;
  return std::unique_ptr<CpuModule>(new CpuModule(std::move(state)));
}

/// The functions of a module that have code, in order.
static SmallVector<LLVM::LLVMFuncOp> definitionsOf(ModuleOp module) {
  SmallVector<LLVM::LLVMFuncOp> functions;
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    if (!function.isExternal())
      functions.push_back(function);
  return functions;
}

LogicalResult CpuModule::emitObjects(std::vector<ObjectFile> &objects) {
  // What was made before is taken out; a kernel's name says what is in it, of entries and chains the text does.
  SmallVector<LLVM::LLVMFuncOp> functions = definitionsOf(*state->code);
  std::vector<std::string> keys(functions.size());
  std::vector<ObjectFile> own(functions.size());
  const ObjectCache *cache = state->llvmDialect ? nullptr : state->options.cache;
  MLIRContext *context = state->code->getContext();
  parallelFor(context, 0, functions.size(), [&](size_t i) {
    std::string name = functions[i].getName().str();
    own[i].name = name + ".o";
    if (!cache)
      return;
    bool entry = StringRef(name).starts_with(state->options.stem + "_bigm_"); // or a chain of one
    keys[i] = digestOf(entry ? state->identity() + text(functions[i]) : state->identity() + name);
    if (auto known = cache->find(keys[i]))
      own[i].bytes = std::move(*known);
  });
  std::vector<size_t> missing;
  for (size_t i = 0; i < functions.size(); ++i)
    if (own[i].bytes.empty())
      missing.push_back(i);
    else
      functions[i].eraseBody(), functions[i].setLinkage(LLVM::Linkage::External);
  if (!state->llvmDialect && failed(lowerToLlvmDialect(*state->code, state->options.verify)))
    return failure();
  state->llvmDialect = true;

  auto done = failableParallelForEachN(context, 0, missing.size(), [&](size_t i) -> LogicalResult {
    llvm::LLVMContext llvmContext;
    auto module = toLlvm(functions[missing[i]], llvmContext, state->target);
    return module ? emitMachineCode(*module, state->target, false, own[missing[i]].bytes) : failure();
  });
  if (failed(done))
    return failure();
  if (cache) {
    for (size_t i : missing)
      cache->add(keys[i], own[i].bytes);
    cache->prune();
  }
  std::move(own.begin(), own.end(), std::back_inserter(objects));
  return success();
}

LogicalResult cpu::emitExports(const std::string &stem, const std::vector<std::string> &entries,
                               const std::string &manifest, ObjectFile &object) {
  Target target = *parseTarget("x86-64-v2"); // it holds data alone
  llvm::LLVMContext context;
  auto module = exportsModule(context, target, stem, entries, manifest);
  object.name = stem + ".o";
  return emitMachineCode(*module, target, false, object.bytes);
}

std::vector<FunctionReport> CpuModule::report(const std::map<std::string, int64_t> &sizes, int64_t otherwise) {
  std::vector<FunctionReport> reports;
  for (func::FuncOp func : state->planned->getOps<func::FuncOp>()) {
    if (func.isPrivate())
      continue;
    std::vector<int64_t> values;
    if (auto names = func->getAttrOfType<ArrayAttr>(attrs::symbols))
      for (Attribute name : names) {
        auto it = sizes.find(cast<StringAttr>(name).str());
        values.push_back(it == sizes.end() ? otherwise : it->second);
      }
    reports.push_back(reportOf(func, values));
    FunctionReport &report = reports.back();
    auto slices = batchSlicesOf(func, state->target);
    if (!slices)
      continue;
    report.slice = {slices->symbol, slices->each(values)};
    if (values[slices->symbol] <= report.slice->elements)
      continue;
    values[slices->symbol] = report.slice->elements;
    FunctionReport ofSlice = reportOf(func, values);
    report.buffers = std::move(ofSlice.buffers);
    report.arenaBytes = ofSlice.arenaBytes, report.liveBytes = ofSlice.liveBytes;
  }
  return reports;
}

std::map<std::string, Tunable> CpuModule::tunables() const {
  std::map<std::string, Tunable> all;
  for (func::FuncOp func : state->planned->getOps<func::FuncOp>())
    tunablesOf(func, state->target, all);
  return all;
}

std::string CpuModule::dumpAt(const std::string &stage) {
  if (stage == "fused")
    return text(*state->planned);
  if (stage == "lowered" && !state->llvmDialect)
    return text(*state->code);
  if (stage != "llvm" && stage != "asm")
    return "";
  if (!state->llvmDialect && failed(lowerToLlvmDialect(*state->code, state->options.verify)))
    return "";
  state->llvmDialect = true;
  SmallVector<LLVM::LLVMFuncOp> functions = definitionsOf(*state->code);
  std::vector<std::string> texts(functions.size());
  parallelFor(state->code->getContext(), 0, functions.size(), [&](size_t i) {
    llvm::LLVMContext context;
    auto module = toLlvm(functions[i], context, state->target);
    if (module && stage == "asm")
      (void)emitMachineCode(*module, state->target, true, texts[i]);
    else if (module)
      llvm::raw_string_ostream(texts[i]) << *module;
  });
  return llvm::join(texts, "\n");
}
