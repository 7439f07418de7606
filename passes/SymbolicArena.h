// An arena for buffers whose sizes are expressions of symbols, planned before the symbols are known.
//
// A size is bounded by bytes times a monomial in the symbols (every symbol is at least 1), buffers of one monomial form a class with a
// layout of its own, and the classes lie one after the other. Within a class Arena.h finds the offsets; buffers of a class that grows
// slower then go into the gaps of those that grow faster. A gap of b bytes times N holds b * n bytes where N is at least n: where it is known
// what calls mostly have, the arena is planned for that or more.
#pragma once
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"
#include "mlir/Support/LLVM.h"
#include "passes/Arena.h"
#include "llvm/ADT/StringRef.h"
#include <map>
#include <vector>

namespace mlir::bigm {

/// On a function: the arena is planned for symbols of at least these sizes. For a smaller one a call takes the arena, and the places in
/// it, of these. Missing where all are 1.
constexpr llvm::StringLiteral leastSizesAttr("kernel.least_sizes");
/// What the attribute says; empty where it is missing.
inline ArrayRef<int64_t> leastSizesOf(Operation *func) {
  auto sizes = func->getAttrOfType<DenseI64ArrayAttr>(leastSizesAttr);
  return sizes ? sizes.asArrayRef() : ArrayRef<int64_t>();
}

using Monomial = SmallVector<unsigned>; // numbers of symbols, sorted, with repetition
using Bound = std::map<Monomial, double>;

/// A polynomial with positive coefficients that is nowhere less than the expression, symbols being at least 1.
Bound boundOf(AffineExpr expr);

/// `bytes` times the product of the symbols.
struct BytesTerm {
  int64_t bytes = 0;
  std::vector<unsigned> of;

  double at(ArrayRef<int64_t> sizes) const;
};

/// On a function: terms of [bytes, symbols], whose sum is the arena, and the most bytes of it that are alive at one time.
constexpr llvm::StringLiteral arenaAttr("kernel.arena"), liveBoundAttr("kernel.live_bound");
std::vector<BytesTerm> termsOf(Operation *func, llvm::StringRef attribute);

/// A buffer of at most `bytes` times the monomial.
struct SymbolicBuffer : Lifetime {
  SymbolicBuffer(AffineExpr size, int first, int last);
  Monomial monomial;
};

struct SymbolicArena {
  struct Class {
    Monomial monomial;
    int64_t bytes;     // times the monomial
    int64_t liveBound; // likewise the most bytes of the class that are alive at one time
  };
  std::vector<Class> classes;
  std::vector<AffineExpr> offsets; // of the buffers
  SmallVector<int64_t> leastSizes; // of the symbols, with which classes and offsets count
};

/// `usual`: of each symbol the size that calls mostly have, or 0. `context` is that of the offsets.
SymbolicArena planArena(ArrayRef<SymbolicBuffer> buffers, ArrayRef<int64_t> usual, MLIRContext *context);

} // namespace mlir::bigm
