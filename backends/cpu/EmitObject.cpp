// MLIR's conversions down to the LLVM dialect, then LLVM's own pipeline.
//
// Kernels come vectorised and unrolled as they should be, so LLVM's loop vectoriser and SLP vectoriser stay off: they
// would find little and cost most of the compile time. exp, log, tanh and erf in f32 become polynomials that run in
// vectors; f64 goes to the C library.
#include "backends/cpu/EmitObject.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
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
/// a shuffle of bf16 apart into conversions of each element, by functions that the C library need not have.
struct BitsOfBf16 : PassWrapper<BitsOfBf16, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(BitsOfBf16)
  void runOnOperation() override {
    Type bits = IntegerType::get(&getContext(), 16);
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
  }
};
} // namespace

LogicalResult cpu::lowerToLlvmDialect(ModuleOp module, bool verify) {
  RewritePatternSet patterns(module.getContext());
  populateMathPolynomialApproximationPatterns(patterns, [](StringRef name) {
    return llvm::is_contained({math::ExpOp::getOperationName(), math::ExpM1Op::getOperationName(),
                               math::LogOp::getOperationName(), math::Log1pOp::getOperationName(),
                               math::TanhOp::getOperationName(), math::ErfOp::getOperationName(),
                               math::SinOp::getOperationName(), math::CosOp::getOperationName()},
                              name);
  });
  patterns.add<FmaAsMultiplyAdd>(module.getContext());
  if (failed(applyPatternsGreedily(module, std::move(patterns))))
    return failure();
  PassManager passes(module.getContext());
  passes.enableVerifier(verify);
  // bf16 is converted by integer operations: LLVM would call a function of the compiler's library for each element
  // where the machine has no such instruction.
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = true;
  passes.addPass(arith::createArithExpandOpsPass(expand));
  passes.addPass(std::make_unique<BitsOfBf16>());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createConvertMathToLibmPass());
  passes.addPass(createConvertFuncToLLVMPass()); // the declarations that the C library needs
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  return passes.run(module);
}

static std::unique_ptr<llvm::TargetMachine> targetMachine(const Target &target) {
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

/// The exported data (docs/abi.md, "Two layers").
static void addExports(llvm::Module &module, const std::string &stem, const std::vector<std::string> &entries,
                       const std::string &manifest) {
  llvm::LLVMContext &context = module.getContext();
  auto global = [&](llvm::Constant *value, const std::string &name) {
    new llvm::GlobalVariable(module, value->getType(), /*isConstant=*/true, llvm::GlobalValue::ExternalLinkage, value,
                             stem + name);
  };
  global(llvm::ConstantDataArray::getString(context, manifest), "_bigm_manifest");
  global(llvm::ConstantInt::get(llvm::Type::getInt64Ty(context), manifest.size()), "_bigm_manifest_size");
  std::vector<llvm::Constant *> functions;
  for (const std::string &entry : entries)
    functions.push_back(module.getFunction(entry));
  auto pointer = llvm::PointerType::get(context, 0);
  global(llvm::ConstantArray::get(llvm::ArrayType::get(pointer, functions.size()), functions), "_bigm_entries");
}

std::unique_ptr<llvm::Module> cpu::toLlvm(ModuleOp module, llvm::LLVMContext &context, const Target &target,
                                          const std::string &stem, const std::vector<std::string> &entries,
                                          const std::string &manifest) {
  registerBuiltinDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  std::unique_ptr<llvm::Module> result = translateModuleToLLVMIR(module, context, stem);
  auto machine = targetMachine(target);
  if (!result || !machine)
    return nullptr;
  result->setTargetTriple(machine->getTargetTriple());
  result->setDataLayout(machine->createDataLayout());
  result->setSourceFileName(stem);
  addExports(*result, stem, entries, manifest);
  for (llvm::Function &function : *result) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", target.cpu);
    if (!target.features.empty())
      function.addFnAttr("target-features", target.features);
    function.addFnAttr("prefer-vector-width", std::to_string(target.lanes * 32));
    function.addFnAttr(llvm::Attribute::NoUnwind);
    function.addFnAttr(llvm::Attribute::NoInline); // kernels are called once, through a pointer or beside one
  }

  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = false;
  tuning.LoopInterleaving = false;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(machine.get(), tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(*result, modules);
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
  if (machine->addPassesToEmitFile(passes, stream, nullptr, kind))
    return failure();
  passes.run(module);
  out.assign(bytes.begin(), bytes.end());
  return success();
}
