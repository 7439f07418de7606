// An ONNX model as plain structs, free of protobuf.
//
// What `read` gives is whole: every tensor has as many bytes as its shape and type say, also where they lie in another
// file; every name that a node reads is an input, an initialiser or an output of a node before it (so there are no
// cycles) or, in a subgraph, a name of the graph around it. Whether an operator is known is not asked here.
#pragma once
#include "frontend/Bytes.h"
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bigm::onnx {

/// Numbered as TensorProto.DataType.
enum class Type {
  Undefined = 0, F32 = 1, U8 = 2, I8 = 3, U16 = 4, I16 = 5, I32 = 6, I64 = 7, String = 8, Bool = 9, F16 = 10, F64 = 11,
  U32 = 12, U64 = 13, Complex64 = 14, Complex128 = 15, BF16 = 16, F8E4M3FN = 17, F8E4M3FNUZ = 18, F8E5M2 = 19,
  F8E5M2FNUZ = 20, U4 = 21, I4 = 22, F4E2M1 = 23, F8E8M0 = 24,
};
const char *name(Type); // as ONNX writes it: "float16"

struct Tensor {
  std::string name;
  Type type = Type::Undefined;
  std::vector<int64_t> shape;
  Bytes bytes;                      // row-major, little endian
  std::vector<std::string> strings; // of a String tensor
};

struct Graph;
struct Attribute {
  enum class Kind { None, Float, Int, String, Tensor, Graph, Floats, Ints, Strings, Graphs, Other } kind = Kind::None;
  std::string reference; // inside a function: the attribute of the caller that is meant
  float real = 0;
  int64_t integer = 0;
  std::string text;
  std::shared_ptr<const Tensor> tensor;
  std::shared_ptr<const Graph> graph;
  std::vector<float> reals;
  std::vector<int64_t> integers;
  std::vector<std::string> texts;
  std::vector<std::shared_ptr<const Graph>> graphs;
};

struct Node {
  std::string name, op, domain; // the default domain is empty
  std::vector<std::string> inputs, outputs; // empty: left out
  std::map<std::string, Attribute> attributes;
};

/// A dimension: a number, a name, or neither.
using Size = std::variant<std::monostate, int64_t, std::string>;
struct Info {
  std::string name;
  Type type = Type::Undefined; // Undefined: no tensor
  std::optional<std::vector<Size>> shape;
};

struct Graph {
  std::string name;
  std::vector<Node> nodes;
  std::vector<Tensor> initializers;
  std::vector<Info> inputs, outputs; // inputs that have an initialiser are left out of `inputs`
};

/// An operator that the file itself defines.
struct Function {
  std::string domain, name;
  std::vector<std::string> inputs, outputs;
  std::map<std::string, Attribute> defaults;
  std::vector<Node> nodes;
  std::map<std::string, int64_t> opsets;
};

struct Model {
  std::string path, producer;
  std::map<std::string, int64_t> opsets; // by domain
  Graph graph;
  std::vector<Function> functions;
};

/// Reads the file and the data files it names, which must lie in its folder or below. On failure `error` says what is
/// wrong and where, without the path.
///
/// Memory: at most 200 times the file's size (a file of nothing but empty nodes; models take once their size), whatever
/// sizes it claims. Data files are mapped.
std::shared_ptr<const Model> read(const std::string &path, std::string &error);
/// The same of bytes in memory; data files lie in `folder`.
std::shared_ptr<const Model> read(std::string_view bytes, const std::string &folder, std::string &error);
/// One tensor, as the files `input_0.pb` of test data hold it; null when it is none.
std::shared_ptr<const Tensor> readTensor(std::string_view bytes, std::string &error);

/// Bits of one element; 0 for strings and unknown types.
unsigned bitsOf(Type);
/// Product of the sizes; nothing when it overflows or a size is negative.
std::optional<int64_t> countOf(const std::vector<int64_t> &shape);

} // namespace bigm::onnx
