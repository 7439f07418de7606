// Evaluates an ONNX graph as the checker evaluates a model: node after node, recording what happens to tensors.
#pragma once
#include "OnnxNode.h"
#include <set>

namespace bigm::sema::onnx_import {

/// A node that could not be imported.
struct Problem {
  std::string node, op, why; // `node` is its name, or that of its first output
  bool needsKnown = false;   // an operand's elements would have to be known
  std::optional<Unequal> unequal = {};
};

/// The newest operator set whose meaning is known here, and the oldest.
constexpr int64_t kOldestOpset = 7, kNewestOpset = 28;

class Evaluation {
public:
  Evaluation(const onnx::Model &model, Tensors &tensors);
  /// The graph's outputs for its inputs in order. Nodes that cannot be imported, and what depends on them, give values
  /// that are not `some`; all of them are in `problems`.
  Vals run(const Vals &inputs);
  std::vector<Problem> problems;
  /// Told of each node of the outermost graph once it is evaluated.
  std::function<void(const onnx::Node &, const Vals &in, const Vals &out)> seen;

  /// In a step of training nodes that act in training do so, as far as the file says that they may.
  bool training = false;

  /// A subgraph, which sees the names around the node that runs now.
  Vals run(const onnx::Graph &graph, const Vals &inputs);
  /// How often a node may still be evaluated: bounds loops.
  void spend();

private:
  struct Scope {
    const Scope *outer = nullptr;
    std::map<std::string, Val> names;
    const std::map<std::string, onnx::Attribute> *attributes = nullptr; // inside a function
  };
  const Val *find(const std::string &name) const;
  void evaluate(const std::vector<onnx::Node> &nodes, const std::map<std::string, int64_t> &opsets);
  Vals call(const onnx::Function &function, const onnx::Node &node, const Vals &in);
  void initialise(const onnx::Graph &graph);

  const onnx::Model &model;
  Tensors &tensors;
  Scope *scope = nullptr;
  const std::map<std::string, int64_t> *opsets = nullptr;
  std::set<std::string> reported;
  int depth = 0;
  int64_t left = 200000;
};

/// Keeps tensors to itself: for who asks for shapes and what is known, or reads what was recorded.
struct NoStore : Store {
  Recorder &rec;
  std::vector<TensorDecl> all;
  explicit NoStore(Recorder &rec) : rec(rec) {}
  Value tensor(const std::string &name, TensorDecl::Kind kind, const TensorType &type, Bytes bytes) override {
    all.push_back({kind, name, type, {}, bytes});
    return rec.tensor(int(all.size()) - 1, all.back());
  }
};

/// A word of the language from any text: what is no letter or digit becomes `_`, `otherwise` stands for none and before a digit.
std::string wordOf(const std::string &text, const std::string &otherwise);
/// The same as a name; what stands in `taken` is not used again.
std::string identifier(const std::string &text, std::set<std::string> &taken);
/// Sizes of the file's inputs, whose ranks are known: numbers, and names for what it leaves open (an unnamed first one is
/// `N`), such that the graph's parts fit as far as replacing names can do it.
std::vector<std::vector<Dim>> inputSizes(const onnx::Model &model, std::set<std::string> &taken);

/// All operators of the default domain that can be imported.
const Table &operators();

} // namespace bigm::sema::onnx_import
