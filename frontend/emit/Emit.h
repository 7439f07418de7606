// From the typed program to the bigm dialect.
#pragma once
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <string>

namespace bigm {
struct Program;
class SourceManager;

/// One func.func for each function of the program, named as it is there, with locations that point at the source and
/// name the model instance. `only` keeps the functions whose name starts with it; empty keeps all. The module verifies
/// when the program keeps the invariants of Graph.h.
mlir::OwningOpRef<mlir::ModuleOp> emitProgram(const Program &program, const SourceManager &sources,
                                              mlir::MLIRContext &context, const std::string &only = "");
} // namespace bigm
