// The ONNX graph on its way: nodes and initialisers with fresh names, and sizes as tensors.
#pragma once
#define ONNX_ML 1
#define ONNX_NAMESPACE onnx
#include "ir/Bigm.h"
#include <map>
#include <onnx/onnx_pb.h>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace mlir::bigm::to_onnx {

/// Why an op has no ONNX form.
struct NoForm {
  std::string why;
};

using Name = std::string; // of a value of the graph
struct NodeAttribute {
  const char *name;
  std::variant<int64_t, float, std::string, std::vector<int64_t>> value;
};
using Attributes = std::vector<NodeAttribute>;

/// TensorProto.DataType of an element type.
int32_t codeOf(Type element);

class Sheet {
public:
  explicit Sheet(::onnx::GraphProto &graph, int opset) : graph(graph), opset(opset), graphs{&graph} {}
  ::onnx::GraphProto &graph; // of the model
  const int opset;
  std::string scope; // of the op that is written: "net.conv2d"

  /// A name that nothing has: `wish`, or `wish_2`.
  Name fresh(const std::string &wish);
  /// A node in the graph of the innermost of its inputs: what does not depend on a step stands before the steps.
  Name add(const std::string &op, const std::vector<Name> &in, const Attributes &attributes = {});
  /// How `name`, of this type, is told as an input or output of a graph.
  void declare(::onnx::ValueInfoProto &info, const Name &name, Type type);

  // ------------------------------------------------------------ graphs in nodes
  /// From here on what depends on `inside` goes into `body`, until `leave`.
  void enter(::onnx::GraphProto &body) { graphs.push_back(&body); }
  void leave() { graphs.pop_back(); }
  /// A name of an input of the innermost graph.
  Name inside(const std::string &wish);
  /// Gives `x` another name in the innermost graph, that of an output which nothing else has.
  void identity(const Name &x, const Name &as);
  /// A Scan over the first dimension. `in`: the states, then what is gone through, `rows` of them. The names of `results`.
  std::vector<Name> scan(const std::vector<Name> &in, int64_t rows, size_t results, bool reverse, ::onnx::GraphProto &&body);

  // ------------------------------------------------------------ constants; equal ones are one initialiser
  Name scalar(Type element, double number);
  Name ints(ArrayRef<int64_t> numbers) { return ints(numbers, {int64_t(numbers.size())}); }
  Name ints(ArrayRef<int64_t> numbers, ArrayRef<int64_t> shape);
  Name numbers(Type element, ArrayRef<double> numbers, ArrayRef<int64_t> shape);

  // ------------------------------------------------------------ sizes
  /// Where the size of a symbol can be read: dimension `dim` of input `input` is `size`.
  struct Place {
    Name input;
    int64_t dim;
    AffineExpr size;
  };
  std::vector<Place> places;
  std::vector<std::string> symbols; // their names
  Name dim(AffineExpr size); // int64[1]
  Name dimScalar(AffineExpr size); // int64[]
  Name shape(ArrayRef<AffineExpr> sizes); // int64[rank]
  /// 0, 1, ... along dimension `at` of `rank`, of size 1 along the others; int64.
  Name iota(AffineExpr size, unsigned at, unsigned rank);

  // ------------------------------------------------------------ operators that need no more than their axes
  Name cast(const Name &x, Type to);
  Name squeeze(const Name &x, ArrayRef<int64_t> axes);
  Name unsqueeze(const Name &x, ArrayRef<int64_t> axes);
  Name transpose(const Name &x, ArrayRef<int64_t> order);
  Name reshape(const Name &x, ArrayRef<AffineExpr> from, ArrayRef<AffineExpr> to);
  Name expand(const Name &x, ArrayRef<AffineExpr> sizes);
  Name reduce(const std::string &op, const Name &x, ArrayRef<int64_t> axes);

private:
  Name initializer(const std::string &wish, int32_t type, ArrayRef<int64_t> shape, std::string bytes);
  Name symbol(unsigned position);
  ::onnx::NodeProto &node(::onnx::GraphProto &in, const std::string &op);
  size_t depthOf(const Name &x) const;

  std::vector<::onnx::GraphProto *> graphs; // the model's and those of the nodes that are being written, outermost first
  std::map<Name, size_t> depths;            // of names that are not the model's: places in `graphs`
  std::set<std::string> taken;
  std::map<std::string, int> counts;
  std::map<Name, std::pair<Name, SmallVector<AffineExpr>>> reshaped; // of what, and its sizes: two in a row are one
  std::map<std::string, Name> constants, known; // by content; nodes that only compute sizes by what they compute
  Name once(const std::string &op, const std::vector<Name> &in, const Attributes &attributes = {});
};

} // namespace mlir::bigm::to_onnx
