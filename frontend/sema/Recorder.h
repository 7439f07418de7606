// Records the operations of one Function while the checker evaluates the program.
//
// Numbers handed out here are provisional: arguments may be asked for at any time. `finish` drops what no output needs,
// orders the arguments and numbers the values as Graph.h demands. Equal operations are recorded once, so a schedule that
// every parameter's update asks for is computed once.
#pragma once
#include "frontend/Graph.h"
#include <set>
#include <unordered_map>

namespace bigm::sema {

/// Index of iteration dimension `dim` alone.
AffineIndex index(uint32_t dim, int64_t coefficient = 1, int64_t offset = 0);
/// The maps of an operand that is read as it is: (d0, d1, ...).
AffineIndices identityMap(size_t rank);

class Recorder {
public:
  explicit Recorder(std::string name) { fn.name = std::move(name); }

  // Arguments; asking twice gives the same value.
  Value input(const std::string &name, const TensorType &type, SourceRange where);
  /// The value of persistent tensor `index` now: what the function last stored, or what it held before.
  Value tensor(int index, const TensorDecl &decl);
  void store(int index, const TensorDecl &decl, Value value);
  /// The persistent tensors that the function stores.
  std::set<int> storedTensors() const;
  /// Makes every store keep what was there before where `condition` (bool[]) does not hold.
  void storeOnlyWhen(Value condition, const std::vector<TensorDecl> &tensors);
  /// Forgets the stores of all other tensors.
  void storeOnly(const std::set<int> &tensors);
  Value seed(), step(), steps();

  // Operations.
  Value add(Op op, std::vector<Value> operands, TensorType type, std::map<std::string, Attr> attrs = {});
  std::vector<Value> gradient(Value of, const std::vector<Value> &by);
  /// The operation without a gradient through which `of` depends on one of `by`, if there is one.
  const Node *withoutGradient(Value of, const std::vector<Value> &by) const;
  Value constant(double value, const TensorType &type);
  Value cast(Value v, Elem elem);
  Value reshape(Value v, std::vector<Dim> shape);
  /// View, composed with the view that made the operand.
  Value view(Value v, std::vector<Dim> shape, AffineIndices map);
  /// Trailing-aligned broadcast; the caller has checked that it fits.
  Value broadcast(Value v, const std::vector<Dim> &shape);
  /// `count` elements along `dim` from a place on that is no number: they are looked up. `step` may be negative.
  Value lookUp(Value v, size_t dim, const Dim &start, const Dim &count, int64_t step);
  Value reduce(Op op, Value v, std::vector<int64_t> dims);
  Value random(std::vector<Dim> shape);
  /// Recurrence (Scan.cpp). What is recorded between `beginScan` and `endScan` on the values of `stepInput` is one step;
  /// the rest of it, which no state and no row enters, stays outside and is computed once.
  struct Step {
    size_t firstNode = 0;
    std::vector<Value> states, rows; // as a step sees them
    std::unordered_map<std::string, Value> known;
    std::map<int, Value> stored;
  };
  Step beginScan();
  Value stepInput(const TensorType &type);
  /// The scan from `starts` over `xs`, whose first dimension is `count`, given the new states and what else a step gives.
  /// Its results, in the order of Op::Scan.
  std::vector<Value> endScan(const Step &step, const std::vector<Value> &starts, const std::vector<Value> &xs,
                             const std::vector<Value> &states, const std::vector<Value> &given, const Dim &count,
                             bool reverse);
  /// Forgets a step in which there was an error.
  void dropScan(const Step &step) { known = step.known; }
  /// The persistent tensors that were stored since `step` began.
  std::set<int> storedSince(const Step &step) const;
  /// A dimension as a scalar: a constant, or ones summed over the symbolic part.
  Value dimension(const Dim &dim, Elem elem);

  const TensorType &type(Value v) const { return values[v].type; }
  /// The operation that gives a value; none of an argument.
  const Node *maker(Value v) const { return values[v].node < 0 ? nullptr : &fn.nodes[size_t(values[v].node)]; }
  /// The persistent tensor that an argument is; -1 of an input.
  int tensorOf(Value v) const { return values[v].arg < 0 ? -1 : fn.args[size_t(values[v].arg)].tensor; }
  void output(std::string name, Value v) { outputs.push_back({std::move(name), v, -1}); }
  /// The finished function; the recorder is spent. `keepInputs` lists also the inputs that nothing uses.
  Function finish(const std::vector<TensorDecl> &tensors, bool keepInputs = false);
  /// Whether the function reads persistent tensor `index`.
  bool uses(int index) const { return loaded.count(index); }

  SourceRange where; // place and instance path of what is recorded next
  std::string scope;
  uint32_t space = 0; // of a flow
  /// The calls that are under way, outermost first, and whose text they stand in.
  const std::vector<std::pair<SourceRange, std::string>> *calls = nullptr;
  const SourceManager *sources = nullptr;

private:
  /// The innermost call that the user wrote, when what is recorded stands in the library; no place otherwise.
  SourceRange caller() const;
  struct Entry {
    int arg = -1, node = -1;
    unsigned result = 0;
    TensorType type;
  };
  Value argument(Arg arg);
  Value leaf(Value v, std::map<Value, Value> &inside, Function &body); // Scan.cpp

  Function fn;
  std::vector<Entry> values;
  std::vector<Output> outputs;
  std::map<int, Value> loaded, stored;
  std::map<std::string, Value> inputs;
  std::unordered_map<std::string, Value> known; // operation as text -> its value
  int64_t seedValue = -1, stepValue = -1, stepsValue = -1, streams = 0;
};

} // namespace bigm::sema
