// A function of the dialect as an ONNX file.
//
// Inputs, outputs and symbolic sizes keep their names, persistent tensors become initialisers. Expects gradients to be
// expanded and nothing fused: what has a name among ONNX's operators (products, convolutions, pools, attention's softmax) is
// recognised op by op. Operators are those of set 17, which ONNX Runtime has run since 1.12, and of 18 where bits are
// combined.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlir::func {
class FuncOp;
}

namespace mlir::bigm::to_onnx {

/// What has no ONNX form, and where the user wrote it; `line` is 0 where that is not known.
struct Refusal {
  std::string file;
  unsigned line = 0, column = 0;
  std::string what;
};

struct Options {
  std::string producer = "bigmc", version, name; // name: of the graph
  std::vector<std::pair<std::string, std::string>> metadata;
  /// The elements of a persistent tensor, row-major.
  std::function<std::string_view(int64_t tensor)> weights;
  /// Weights of more bytes than this lie in a file beside the model: a message of protobuf's holds 2 GiB.
  uint64_t atMostInside = 1900000000;
};

/// Writes the model to `path`, and its weights to `path`.data where they are many; whole or not at all. All that has no ONNX
/// form is named in the result, and nothing written then. `error` says why a file could not be written.
std::vector<Refusal> write(func::FuncOp function, const Options &options, const std::string &path, std::string &error);

} // namespace mlir::bigm::to_onnx
