// MLIR's conversions down to the LLVM dialect, then LLVM's own pipeline.
//
// Each function is a module of its own from here on, so that all threads work and machine code can be kept by what it was
// made from. Kernels come vectorised and blocked as they should be, so LLVM's loop vectoriser and SLP vectoriser stay off:
// they would find little and cost most of the compile time. exp, log, tanh and erf in f32 become polynomials that run in
// vectors; f64 goes to the C library.
#include "backends/cpu/EmitObject.h"
#include "backends/cpu/Approximations.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Threading.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace mlir::bigm;
using namespace mlir::bigm::cpu;

namespace {
/// math.fma means one rounding and is a call of the C library where the machine has no such instruction; the
/// approximations only want speed.
struct FmaAsMultiplyAdd : OpRewritePattern<math::FmaOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::FmaOp op, PatternRewriter &rewriter) const override {
    rewriter.replaceOpWithNewOp<LLVM::FMulAddOp>(op, op.getType(), op.getA(), op.getB(), op.getC());
    return success();
  }
};

/// bf16 as its bits. Once conversions are integer operations nothing computes with it any more, but LLVM would still take
/// a shuffle of bf16 apart into conversions of each element, by functions that the C library need not have. Instructions that
/// take bf16 are given it.
struct BitsOfBf16 : PassWrapper<BitsOfBf16, OperationPass<LLVM::LLVMFuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(BitsOfBf16)
  void runOnOperation() override {
    Type bits = IntegerType::get(&getContext(), 16);
    SmallVector<std::pair<OpOperand *, Type>> taken;
    getOperation().walk([&](LLVM::CallIntrinsicOp call) {
      for (OpOperand &operand : call->getOpOperands())
        if (getElementTypeOrSelf(operand.get().getType()).isBF16())
          taken.push_back({&operand, operand.get().getType()});
    });
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](BFloat16Type) { return bits; });
    replacer.addReplacement([&](FloatAttr number) -> Attribute {
      if (!number.getType().isBF16())
        return number;
      return IntegerAttr::get(bits, number.getValue().bitcastToAPInt());
    });
    replacer.addReplacement([&](DenseElementsAttr numbers) -> Attribute {
      return numbers.getElementType().isBF16() ? numbers.bitcast(bits) : numbers;
    });
    replacer.recursivelyReplaceElementsIn(getOperation(), /*replaceAttrs=*/true, /*replaceLocs=*/false,
                                          /*replaceTypes=*/true);
    for (auto [operand, type] : taken) {
      OpBuilder builder(operand->getOwner());
      operand->set(LLVM::BitcastOp::create(builder, operand->getOwner()->getLoc(), type, operand->get()));
    }
  }
};

/// arith and cf to the LLVM dialect in one function; the upstream pass for cf takes whole modules, on one thread.
struct ScalarsAndBranches : PassWrapper<ScalarsAndBranches, OperationPass<LLVM::LLVMFuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ScalarsAndBranches)
  void runOnOperation() override {
    LLVMConversionTarget target(getContext());
    LLVMTypeConverter types(&getContext());
    RewritePatternSet patterns(&getContext());
    arith::populateArithToLLVMConversionPatterns(types, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(types, patterns);
    if (failed(applyPartialConversion(getOperation(), target, std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace

LogicalResult cpu::lowerToLlvmDialect(ModuleOp module, bool verify) {
  MLIRContext *context = module.getContext();
  RewritePatternSet patterns(context);
  populateMathPolynomialApproximationPatterns(patterns, [](StringRef name) {
    return llvm::is_contained({math::ExpM1Op::getOperationName(), math::LogOp::getOperationName(),
                               math::Log1pOp::getOperationName(), math::SinOp::getOperationName(), math::CosOp::getOperationName(),
                               math::AtanOp::getOperationName()},
                              name);
  });
  patterns.add<FmaAsMultiplyAdd>(context);
  addApproximations(patterns);
  FrozenRewritePatternSet frozen(std::move(patterns));
  // Function by function, so that they run on all threads.
  std::vector<Operation *> functions;
  for (Operation &op : *module.getBody())
    functions.push_back(&op);
  if (failed(failableParallelForEach(context, functions,
                                     [&](Operation *op) { return applyPatternsGreedily(op, frozen); })))
    return failure();
  PassManager passes(context);
  passes.enableVerifier(verify);
  OpPassManager &each = passes.nest<LLVM::LLVMFuncOp>();
  // bf16 is converted by integer operations: LLVM would call a function of the compiler's library for each element
  // where the machine has no such instruction.
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = true;
  each.addPass(arith::createArithExpandOpsPass(expand));
  each.addPass(std::make_unique<BitsOfBf16>());
  each.addPass(createSCFToControlFlowPass());
  each.addPass(createConvertMathToLLVMPass());
  if (failed(passes.run(module)))
    return failure();
  // What is left of math is f64 and calls the C library, whose declarations are the module's.
  bool calls = module.walk([](Operation *op) {
                       return isa<math::MathDialect>(op->getDialect()) ? WalkResult::interrupt() : WalkResult::advance();
                     }).wasInterrupted();
  PassManager last(context);
  last.enableVerifier(verify);
  if (calls) {
    last.addPass(createConvertMathToLibmPass());
    last.addPass(createConvertFuncToLLVMPass());
  }
  OpPassManager &rest = last.nest<LLVM::LLVMFuncOp>();
  rest.addPass(createConvertVectorToLLVMPass());
  rest.addPass(std::make_unique<ScalarsAndBranches>());
  rest.addPass(createReconcileUnrealizedCastsPass());
  return last.run(module);
}

static std::unique_ptr<llvm::TargetMachine> createMachine(const Target &target) {
  static bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    return true;
  }();
  (void)initialized;
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!found)
    return nullptr;
  llvm::TargetOptions options;
  // A value that two kernels compute must have the same bits in both (a maximum is compared with its elements again in
  // the gradient), so the compiler may not contract as it likes: only what is written as multiply-add is one.
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  return std::unique_ptr<llvm::TargetMachine>(found->createTargetMachine(
      triple, target.cpu, target.features, options, llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Default));
}

/// The thread's own. What LLVM derives from target and features takes longer to set up than a small kernel to compile.
static llvm::TargetMachine *targetMachine(const Target &target) {
  static thread_local std::pair<std::string, std::unique_ptr<llvm::TargetMachine>> last;
  std::string name = target.cpu + ":" + target.features;
  if (last.first != name || !last.second)
    last = {name, createMachine(target)};
  return last.second.get();
}

static std::unique_ptr<llvm::Module> emptyModule(llvm::LLVMContext &context, const llvm::TargetMachine &machine,
                                                 StringRef name) {
  auto module = std::make_unique<llvm::Module>(name, context);
  module->setTargetTriple(machine.getTargetTriple());
  module->setDataLayout(machine.createDataLayout());
  return module;
}

std::unique_ptr<llvm::Module> cpu::exportsModule(llvm::LLVMContext &context, const Target &target,
                                                 const std::string &stem, const std::vector<std::string> &entries,
                                                 const std::string &manifest) {
  auto machine = targetMachine(target);
  auto module = emptyModule(context, *machine, stem);
  module->setPICLevel(llvm::PICLevel::BigPIC);
  auto global = [&](llvm::Constant *value, const std::string &name) {
    new llvm::GlobalVariable(*module, value->getType(), /*isConstant=*/true, llvm::GlobalValue::ExternalLinkage, value,
                             stem + name);
  };
  global(llvm::ConstantDataArray::getString(context, manifest), "_bigm_manifest");
  global(llvm::ConstantInt::get(llvm::Type::getInt64Ty(context), manifest.size()), "_bigm_manifest_size");
  auto pointer = llvm::PointerType::get(context, 0);
  auto type = llvm::FunctionType::get(llvm::Type::getInt32Ty(context), {pointer, pointer, pointer, pointer}, false);
  std::vector<llvm::Constant *> functions;
  for (const std::string &entry : entries) {
    auto *function = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, entry, *module);
    function->setVisibility(llvm::GlobalValue::HiddenVisibility);
    functions.push_back(function);
  }
  global(llvm::ConstantArray::get(llvm::ArrayType::get(pointer, functions.size()), functions), "_bigm_entries");
  return module;
}

/// Kernels arrive vectorised, blocked and unrolled: what is left is to clean up addresses, masks and loop counters. LLVM's
/// own O2 makes code of the same speed (steps of digits and gpt_char: within 2 %) in four times the time. Without indvars
/// the step of gpt_char runs 7 % slower; with loop-unroll depthwise blocks spill on AVX2.
static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PassBuilder builder(&machine);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  llvm::ModulePassManager passes;
  static const char *pipeline =
      "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(loop-rotate,licm),indvars,"
      "early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg)";
  if (auto error = builder.parsePassPipeline(passes, pipeline))
    llvm::report_fatal_error(std::move(error));
  passes.run(module, modules);
}

std::unique_ptr<llvm::Module> cpu::toLlvm(LLVM::LLVMFuncOp function, llvm::LLVMContext &context, const Target &target) {
  // A module of the function and the declarations of what it calls.
  OwningOpRef<ModuleOp> unit = ModuleOp::create(function.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(unit->getBody());
  auto parent = function->getParentOfType<ModuleOp>();
  llvm::StringSet<> declared;
  function.walk([&](Operation *op) {
    FlatSymbolRefAttr callee;
    if (auto call = dyn_cast<LLVM::CallOp>(op))
      callee = call.getCalleeAttr();
    else if (auto address = dyn_cast<LLVM::AddressOfOp>(op))
      callee = address.getGlobalNameAttr();
    if (!callee || !declared.insert(callee.getValue()).second)
      return;
    auto known = parent.lookupSymbol<LLVM::LLVMFuncOp>(callee.getValue());
    auto declaration = LLVM::LLVMFuncOp::create(builder, known.getLoc(), known.getName(), known.getFunctionType());
    declaration.setVisibility_(known.getVisibility_());
  });
  builder.clone(*function);

  std::unique_ptr<llvm::Module> result = translateModuleToLLVMIR(*unit, context, function.getName());
  auto machine = targetMachine(target);
  if (!result || !machine)
    return nullptr;
  result->setTargetTriple(machine->getTargetTriple());
  result->setDataLayout(machine->createDataLayout());
  for (llvm::Function &f : *result) {
    if (f.isDeclaration())
      continue;
    f.addFnAttr("target-cpu", target.cpu);
    if (!target.features.empty())
      f.addFnAttr("target-features", target.features);
    f.addFnAttr("prefer-vector-width", std::to_string(target.lanes * 32));
    f.addFnAttr(llvm::Attribute::NoUnwind);
  }
  optimize(*result, *machine);
  return result;
}

LogicalResult cpu::emitMachineCode(llvm::Module &module, const Target &target, bool assembly, std::string &out) {
  auto machine = targetMachine(target);
  if (!machine)
    return failure();
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  auto kind = assembly ? llvm::CodeGenFileType::AssemblyFile : llvm::CodeGenFileType::ObjectFile;
  if (machine->addPassesToEmitFile(passes, stream, nullptr, kind, /*DisableVerify=*/true))
    return failure();
  passes.run(module);
  out.assign(bytes.begin(), bytes.end());
  return success();
}
