// The reference backend: runs a function of the bigm dialect, op by op, on numbers held as doubles.
#pragma once
#include "mlir/Support/LLVM.h"
#include <optional>
#include <cstdint>
#include <map>
#include <vector>

namespace mlir {
namespace func {
class FuncOp;
}
namespace bigm::ref {

/// A dense row-major tensor. Every element is held as a double; integers are exact up to 2^53, bool is 0 or 1.
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<double> data;
};

enum class Mode {
  Typed,  // after every op the elements are rounded to the element type; inside an op sums are kept in f64
  Double, // floats of any type are computed and kept in f64
};

/// Runs `function` on its arguments in order; `symbols` are the values of its `bigm.symbols`. Gives the results in
/// order, or fails with an error at the op that cannot run: an argument of the wrong shape, an index out of range, an
/// op that is not expanded (gradient).
FailureOr<std::vector<Tensor>> run(func::FuncOp function, ArrayRef<Tensor> arguments, ArrayRef<int64_t> symbols,
                                   Mode mode);

/// Threefry-2x32 with 20 rounds (Salmon et al., SC 2011).
std::pair<uint32_t, uint32_t> threefry(std::pair<uint32_t, uint32_t> key, std::pair<uint32_t, uint32_t> counter);
/// Element `i` of stream `stream` under `seed`, in [0, 1), as docs/abi.md defines it.
double uniform(int64_t seed, int64_t stream, uint64_t i);

/// Bilinear sampling of [N, C, H, W] into `shape`; `matrix` is [N, 2, 3]. As bigm_rt_warp_f32.
Tensor warp(const Tensor &image, const Tensor &matrix, std::vector<int64_t> shape, double fill);
/// [N, C, H, W] into `shape`; `mode` is nearest, bilinear, bicubic or area. As bigm_rt_resize_f32.
Tensor resize(const Tensor &image, std::vector<int64_t> shape, StringRef mode, bool antialias);
/// Which elements of a line of `in` make element `o` of a line of `out`, and how much of each.
std::map<int64_t, double> resizeWeights(int64_t in, int64_t out, int64_t o, StringRef mode, bool antialias);

/// What bigm.attention and its gradient say besides their operands.
struct Attending {
  bool masked, biased, causal, strict;
  std::optional<double> scale; // 1 / sqrt(D) without

  template <class Op>
  explicit Attending(Op op)
      : masked(bool(op.getMask())), biased(bool(op.getBias())), causal(op.getCausal()), strict(op.getStrict()) {
    if (auto number = op.getScale())
      scale = number->convertToDouble();
  }
};
/// bigm.attention: operands q, k, v and perhaps mask and bias; results y and the statistic, their shapes set.
void attend(ArrayRef<const Tensor *> in, const Attending &how, MutableArrayRef<Tensor> out);
/// bigm.cached_attention: operands q, k, v, keys, values, slot, past. False where a slot or a length is out of range.
bool attendCached(ArrayRef<const Tensor *> in, Tensor &y);
/// bigm.attention_grad: operands q, k, v, dy, statistic, delta and perhaps mask and bias; results dq, dk, dv and perhaps
/// that of the bias, their shapes set.
void attendGrad(ArrayRef<const Tensor *> in, const Attending &how, MutableArrayRef<Tensor> out);

} // namespace bigm::ref
} // namespace mlir
