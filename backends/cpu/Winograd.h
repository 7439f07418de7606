// Convolutions of 3 x 3 by Winograd's minimal filtering (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
// 2015): m x m results from (m + 2) x (m + 2) products for each channel instead of 9 m x m.
// Those of eight bits too, exactly: what is transformed fits in i16, products of pairs are summed in i32, and results are those of
// the convolution itself, whatever wraps around on the way (Filtering).
// Likewise the gradient to the weights: 3 x 3 results of a filter that is a tile of 4 x 4 gradients, summed over all tiles.
//
// A marked nest keeps the meaning of its convolution; only its weights lie transformed in memory, as [column / width][i][j]
// [channel][width], made by a nest of their own that `prepare` runs once. One kernel does the rest for a few tiles at a time,
// so that what is transformed stays in the second level cache: it transforms the input of the tiles, multiplies position by
// position, and transforms the sums of a panel of columns back, through the epilogue of the nest.
#pragma once
#include "backends/cpu/Contraction.h"

namespace mlir::bigm::cpu {

/// What a convolution of stride 1 with 3 x 3 weights, or the gradient to its weights, is made of: dimensions of the nest, axes
/// of the input.
struct Window {
  mutable kernel::LoadOp input, weights; // of a gradient to the weights, `weights` is the gradient of the results
  bool toWeights = false;                // the sum goes through pictures, and the window is what remains
  bool whole = false;                    // products of eight bits, sums in i32; transformed weights are i16
  unsigned y = 0, x = 0, ky = 0, kx = 0, channel = 0, column = 0;
  unsigned axisY = 0, axisX = 0;
  llvm::SmallVector<unsigned> images; // the other dimensions, outermost first
};
std::optional<Window> windowOf(kernel::NestOp nest);
/// Of a gradient to weights, the axes y and x of the gradient of the results; nothing when it is not read plainly.
std::optional<std::pair<unsigned, unsigned>> axesOf(const Window &window);

/// The three matrices of F(m, r), m results of a filter of r taps, as Cook and Toom make them from points:
/// Y = A^T [(G g G^T) * (B^T d B)] A. The points are 0, then pairs p and -p, which stand next to each other, others, and infinity.
///
/// For whole numbers all three are whole, G being `scale` times what it is, and A^T [..] A is scale^2 Y. Its sums may wrap around:
/// modulo 2^32 the odd part of scale^2 has an inverse, and what is lost is two bits, for the points are chosen so that each differs
/// from one other alone by a multiple of 2, and by no more than 2 (fractions u/v and x/y by uy - vx; four results with the
/// usual points 0, 1, -1, 2, -2 and infinity lose six).
struct Filtering {
  Filtering(unsigned m, unsigned r, bool whole = false);
  unsigned m, size;                         // results, and points: m + r - 1, 4 or 6
  unsigned pairs;                           // points 2i + 1 and 2i + 2 are p and -p
  std::vector<std::vector<double>> a, g, b; // A^T [m][size], G [size][r], B^T [size][size]
  int32_t inverse = 1;                      // of the odd part of scale^2, modulo 2^32
  unsigned shift = 0;                       // 2^shift is its even part
  /// Magnitude below which results of whole numbers are exact.
  int64_t bound() const { return int64_t(1) << (31 - shift); }
};

/// Attribute of a contraction that runs so: the side of a tile. Weights of a convolution lie transformed.
constexpr const char *winogradAttr = "winograd";

/// Whether a place moves by one element.
inline bool isOne(std::optional<AffineExpr> coefficient) { return coefficient && constantOf(*coefficient) == 1; }

// ---------------------------------------------------------------- rewriting (WinogradRewrite.cpp)
/// Lets the nest read G g G^T, which a nest in front of it computes from its weights, in panels of `width` columns.
void transformWeights(kernel::NestOp nest, const Window &window, const Filtering &filtering, int64_t width, unsigned symbols);
/// A gradient goes through its window backwards: its sum may as well be taken in the other order.
void goForward(kernel::NestOp nest, const Window &window, unsigned symbols);
/// The kernel finds what lies outside of its input along y and x by itself, so a copy with zeros around it is not needed.
void readBehindPadding(kernel::NestOp nest, const Window &window, unsigned symbols);

/// Marks a convolution or the gradient to its weights where that pays, and transforms weights; whether it did.
bool packWinograd(kernel::NestOp nest, const Target &target, unsigned symbols);
/// The same for a convolution over three dimensions, which becomes several that each add to the one before (WinogradDepth.cpp).
bool packDeepWinograd(kernel::NestOp nest, const Target &target, unsigned symbols);
/// The plan of a marked nest.
Contraction planWinograd(kernel::NestOp nest, const Target &target);
llvm::SmallVector<Launch> emitWinograd(Emitter &emitter, const Contraction &plan, const std::string &name);
/// The same for a gradient to weights.
llvm::SmallVector<Launch> emitWinogradGrad(Emitter &emitter, const Contraction &plan, const Window &window,
                                           const std::string &name);

} // namespace mlir::bigm::cpu
