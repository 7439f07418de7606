// Convolutions of 3 x 3 by Winograd's minimal filtering (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
// 2015): m x m results from (m + 2) x (m + 2) products for each channel instead of 9 m x m.
//
// A marked nest keeps the meaning of its convolution; only its weights lie transformed in memory, as [column / width][i][j]
// [channel][width], made by a nest of their own that `prepare` runs once. One kernel does the rest for a few tiles at a time,
// so that what is transformed stays in the second level cache: it transforms the input of the tiles, multiplies position by
// position, and transforms the sums of a panel of columns back, through the epilogue of the nest.
#pragma once
#include "backends/cpu/Contraction.h"

namespace mlir::bigm::cpu {

/// What a convolution of stride 1 with 3 x 3 weights is made of: dimensions of the nest, axes of the input.
struct Window {
  mutable kernel::LoadOp input, weights;
  unsigned y = 0, x = 0, ky = 0, kx = 0, channel = 0, column = 0;
  unsigned axisY = 0, axisX = 0;
  llvm::SmallVector<unsigned> images; // the other parallel dimensions, outermost first
};
std::optional<Window> windowOf(kernel::NestOp nest);

/// The three matrices of F(m, 3), as Cook and Toom make them from points: Y = A^T [(G g G^T) * (B^T d B)] A. The points are 0,
/// infinity and pairs p and -p, which stand next to each other.
struct Filtering {
  explicit Filtering(unsigned m);
  unsigned m, size;                        // results, and points: m + 2
  unsigned pairs;                          // points 2i + 1 and 2i + 2 are p and -p
  std::vector<std::vector<double>> a, g, b; // A^T [m][size], G [size][3], B^T [size][size]
};

/// Attribute of a contraction whose weights are transformed: m.
constexpr const char *winogradAttr = "winograd";

/// Transforms the weights of a convolution where that pays, and marks it; whether it did.
bool packWinograd(kernel::NestOp nest, const Target &target, unsigned symbols);
/// The plan of a marked nest.
Contraction planWinograd(kernel::NestOp nest, const Target &target);
llvm::SmallVector<Launch> emitWinograd(Emitter &emitter, const Contraction &plan, const std::string &name);

} // namespace mlir::bigm::cpu
