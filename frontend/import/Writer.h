// One model's body on its way: instances, parameters and statements, node by node.
//
// A value that is read once stays an expression and goes into what reads it, as the start of a pipeline or, when it is short,
// as an operand; every other one gets a name. Names come from the file's: those of weights ("layer1.0.conv1.weight"), else
// the scopes in nodes' names ("/layer1/layer1.0/conv1/Conv").
#pragma once
#include "frontend/import/Import.h"
#include "frontend/sema/Onnx.h"
#include <set>

namespace bigm::writing {
using sema::onnx_import::Number;
using sema::onnx_import::Val;
using sema::onnx_import::Vals;

/// Why a node cannot be written.
struct Unwritable {
  std::string why;
};

/// A node as the importer evaluated it.
struct Seen {
  const onnx::Node *node;
  Vals in, out;
  std::string scope; // "layer1.0.conv1"
};

/// What is known of the whole graph.
struct Facts {
  const onnx::Model *model = nullptr;
  int64_t opset = 0;
  std::vector<Seen> nodes;           // those that are written, in order
  std::map<std::string, Val> values; // by name, those of inputs as well
  std::map<std::string, std::string> alias; // a name for another's value
  std::map<std::string, int> uses;   // by nodes that are written, and as outputs of the graph
  std::map<std::string, size_t> maker;
  const sema::Recorder *rec = nullptr;             // what the importer recorded,
  const std::vector<TensorDecl> *tensors = nullptr; // on these
  std::multimap<Value, std::string> byValue;       // names of recorded values
  std::set<std::string> reserved;    // words that no value may be called, among them
  std::vector<std::string> letters;  // those of index notation: what no input is called

  const std::string &resolve(const std::string &name) const;
};

/// What was recorded: for the whole graph, or in one step of a recurrence, whose values have numbers of their own.
struct Recorded {
  const sema::Recorder *rec = nullptr;
  const Function *step = nullptr;
  const TensorType &type(Value v) const { return step ? step->types[v] : rec->type(v); }
  const Node *maker(Value v) const; // nothing of an argument
};

/// How tightly an expression holds together, loosest first.
enum Level { Pipe, Or, And, Not, Compare, Add, Multiply, Negate, Power, Atom };
struct Piece {
  std::string text;
  Level level = Atom;
};

/// A name or a member of one, and no more.
bool isName(const std::string &text);

struct Weight {
  std::string name;
  Elem elem;
  std::vector<int64_t> shape;
  std::shared_ptr<const onnx::Tensor> file; // its elements, or `own`
  bool transposed = false;
  std::string own;
  std::string bytes() const;
};

/// A part of the graph that is a model of its own.
struct Region {
  std::string model; // its name
  std::vector<std::string> inputs;
  std::string output;
  std::vector<Weight> weights;
};

struct Part {
  std::vector<size_t> nodes; // of Facts::nodes
  Region region;
};

class Body {
public:
  Body(const Facts &facts, std::string prefix) : f(facts), graph{facts.rec}, prefix(std::move(prefix)), taken(facts.reserved) {}
  /// A parameter of the model.
  std::string input(const std::string &name, const std::string &wish);
  /// Nodes in order; those of a part that is a model are one application of it.
  void write(const std::vector<size_t> &nodes, const std::map<std::string, Part> &parts);
  Piece use(const std::string &name, Level least);
  std::string text(const std::string &result) const; // without the result
  std::vector<std::string> problems;
  std::vector<Weight> weights;
  std::string last; // the value that the body ends with, when nothing else in it reads that
  std::string result(const std::string &name) { return use(name, Pipe).text; }

private:
  void write(const Seen &seen);
  void apply(const Region &region, const std::string &scope);
  using Call = void (Body::*)(const Seen &);
  static const std::map<std::string, Call> &operators();

  // ------------------------------------------------------------ names and pieces
  std::string fresh(const std::string &wish);
  std::string local(const std::string &dotted, const std::string &otherwise) const; // as a name in this body
  std::string statement(const Seen &seen, const std::string &text);
  void give(const Seen &seen, size_t output, std::string text, Level level);
  void pipe(const Seen &seen, const std::string &call);
  std::string simple(const Seen &seen, const std::string &name); // a name, perhaps a new one
  std::string piped(const std::string &name); // as the start of a pipeline
  Piece literal(const Val &v) const;
  std::optional<Piece> splat(const Val &v) const; // when all elements are one number
  std::string table(const Val &v, const std::string &wish); // known elements as a state
  std::string parameter(const Val &v, const std::string &name);
  std::string converted(std::string_view elements, Elem elem, const std::vector<int64_t> &shape, const std::string &wish);
  std::string instance(const Seen &seen, const std::string &weight, const std::string &kind, const std::string &call,
                       const std::vector<std::pair<std::string, Weight>> &weights);
  Weight fileWeight(const Val &v, bool transposed = false) const;

  // ------------------------------------------------------------ what a node says
  const std::string &in(const Seen &seen, size_t i) const;
  bool has(const Seen &seen, size_t i) const { return i < seen.in.size() && seen.in[i].some(); }
  const onnx::Attribute *attribute(const Seen &seen, const char *name) const;
  int64_t integer(const Seen &seen, const char *name, int64_t otherwise) const;
  double real(const Seen &seen, const char *name, double otherwise) const;
  std::string word(const Seen &seen, const char *name, const std::string &otherwise) const;
  std::vector<int64_t> integers(const Seen &seen, const char *name) const;
  /// Integers of an attribute or, in newer sets, of operand `i`; nothing when left out.
  std::optional<std::vector<int64_t>> either(const Seen &seen, const char *name, size_t i) const;
  bool isFile(const Val &v) const { return v.file && !v.value && v.learnable; }
  const Seen *onlyReader(const std::string &name) const;

  // ------------------------------------------------------------ operators
  void unary(const Seen &), binary(const Seen &), variadic(const Seen &), cast(const Seen &), clip(const Seen &);
  void activation(const Seen &), prelu(const Seen &), softmax(const Seen &), select(const Seen &);
  void isNaN(const Seen &), trilu(const Seen &);
  void convolution(const Seen &), pool(const Seen &), globalPool(const Seen &), normalization(const Seen &);
  void gemm(const Seen &), matmul(const Seen &), einsum(const Seen &);
  void reshape(const Seen &), transpose(const Seen &), concat(const Seen &), slice(const Seen &), split(const Seen &);
  void gather(const Seen &), expand(const Seen &), pad(const Seen &), range(const Seen &), resize(const Seen &);
  void reduction(const Seen &), argument(const Seen &);

  // ------------------------------------------------------------ recurrence: Recurrent.cpp
  void recurrent(const Seen &);
  bool isZero(const Val &v) const;
  std::string batchFirst(const std::string &name);

  // ------------------------------------------------------------ what has no form of its own: Primitives.cpp
  void recorded(const Seen &);
  std::string named(const Seen &seen, Value v), leaf(Value v);
  std::string primitive(const Seen &seen, const Node &node, Value v);
  std::string view(const Seen &seen, const Node &node, Value v), contraction(const Seen &seen, const Node &node, Value v);
  std::string operand(const Seen &seen, Value v, bool mayStretch);
  std::string indexed(const Seen &seen, Value of, const AffineIndices &map, const std::vector<Dim> &sizes, std::vector<bool> &sized,
                      std::vector<bool> &used);
  std::string sizing(const std::vector<Dim> &sizes, const std::vector<bool> &sized, const std::vector<bool> &used, Elem elem);
  std::string stretched(const std::string &y, const std::vector<Dim> &shape, const std::vector<bool> &used);
  void scan(const Seen &seen, const Node &node); // Scans.cpp: gives all of its results a name

  struct Window {
    std::vector<int64_t> kernel, strides, dilations, low, high;
    bool square(int64_t *padding) const; // alike in both directions, and padded alike on all sides
  };
  Window window(const Seen &seen, const std::vector<int64_t> &kernel) const;
  /// y = a linear map of `x` by the matrix [in, out] (or [out, in]) and perhaps a bias.
  void linear(const Seen &seen, const std::string &x, size_t matrix, bool transposed, const Val *bias, const Seen &last);

  const Facts &f;
  Recorded graph;
  std::string prefix;
  std::set<std::string> taken;
  std::set<const onnx::Node *> done; // written with one before
  std::map<std::string, Piece> pieces;
  std::map<std::string, std::string> instances;  // by what they are made of
  std::map<const onnx::Tensor *, std::string> held; // tensors of the file, as they can be written
  std::map<std::string, std::string> turned; // values [T, N, D] that are had as [N, T, D]
  std::map<Value, std::string> primitives; // recorded values that have a name
  std::vector<std::string> lines, statements;
};

std::string listOf(const std::vector<int64_t> &numbers);
std::string listOf(const std::vector<Dim> &dims);
std::string numberText(double x);

} // namespace bigm::writing
