#include "frontend/frozen/Frozen.h"
#include "frontend/frozen/RowWise.h"
#include "frontend/sema/Sizes.h"
#include <algorithm>

namespace bigm {
namespace {

/// Worth to be done once: what is quicker than reading its result is not.
bool isCostly(Op op) {
  return op == Op::Contract || op == Op::Attention || op == Op::Scan || op == Op::Warp || op == Op::Resize;
}

const Function *functionNamed(const Program &program, const std::string &name) {
  for (const Function &f : program.functions)
    if (f.name == name)
      return &f;
  return nullptr;
}

/// Elements of a type for one record; an open size counts as a length that is usual for it.
double elementsOf(const TensorType &type, const std::string &batch) {
  double all = 1;
  for (const Dim &d : type.shape)
    all *= double(d.substitute([&](const std::string &symbol) { return std::optional(Dim(symbol == batch ? 1 : 32)); }).constant().value_or(32));
  return all;
}

/// What of `f` the outputs need, where the values in `given` are handed in under names of their own.
Function sliced(const Function &f, const std::string &name, const std::vector<Output> &outputs, const std::map<Value, std::string> &given) {
  std::vector<bool> needed(f.types.size());
  for (const Output &o : outputs)
    needed[o.value] = true;
  std::vector<const Node *> nodes;
  std::vector<std::string> used, told;
  for (auto node = f.nodes.rbegin(); node != f.nodes.rend(); ++node) {
    bool wanted = false;
    for (unsigned r = 0; r < node->results; ++r)
      wanted |= needed[node->first + r] && !given.count(node->first + r);
    if (!wanted)
      continue;
    nodes.push_back(&*node);
    for (Value v : node->operands)
      needed[v] = true;
  }
  std::reverse(nodes.begin(), nodes.end());
  for (const Node *node : nodes) {
    for (unsigned r = 0; r < node->results; ++r)
      symbolsOf(f.types[node->first + r], used);
    symbolsOf(*node, used);
  }
  // Sizes are read from arguments, so one that has a size comes along for it alone.
  auto tell = [&](const TensorType &type) {
    for (const Dim &d : type.shape)
      if (auto symbol = d.asSymbol())
        told.push_back(*symbol);
  };
  for (auto &[v, named] : given)
    if (needed[v])
      tell(f.types[v]);
  for (size_t a = 0; a < f.args.size(); ++a)
    if (needed[a] && f.args[a].role == Role::Input)
      tell(f.args[a].type);
  for (size_t a : argumentsForSizes(used, told, f.args.size(), [&](size_t a) {
         return f.args[a].role == Role::Input ? &f.args[a].type : nullptr;
       }))
    needed[a] = true;

  Function out;
  out.name = name;
  std::map<Value, Value> renumbered;
  auto argument = [&](Value from, Arg a) {
    renumbered[from] = Value(out.types.size());
    out.types.push_back(a.type);
    out.args.push_back(std::move(a));
  };
  auto arguments = [&](bool inputs) {
    for (size_t a = 0; a < f.args.size(); ++a)
      if (needed[a] && (f.args[a].role == Role::Input) == inputs)
        argument(Value(a), f.args[a]);
  };
  arguments(true);
  for (auto &[v, named] : given)
    if (needed[v])
      argument(v, {named, Role::Input, -1, f.types[v], {}});
  arguments(false);
  for (const Node *node : nodes) {
    Node copy = *node;
    for (Value &v : copy.operands)
      v = renumbered.at(v);
    copy.first = Value(out.types.size());
    for (unsigned r = 0; r < copy.results; ++r) {
      renumbered.emplace(node->first + r, Value(out.types.size())); // one that is given stays so
      out.types.push_back(f.types[node->first + r]);
    }
    out.nodes.push_back(std::move(copy));
  }
  for (Output o : outputs) {
    o.value = renumbered.at(o.value);
    out.outputs.push_back(std::move(o));
  }
  out.symbols = symbolsOf(out);
  return out;
}

/// The values at the border of what follows from each record alone.
class Border {
public:
  Border(const Function &f, const std::vector<Rows> &rows, const std::string &batch)
      : f(f), rows(rows), batch(batch), madeBy(f.types.size()), costly(f.types.size()) {
    for (const Node &node : f.nodes) {
      bool all = isCostly(node.op);
      for (Value v : node.operands)
        all |= costly[v];
      for (unsigned r = 0; r < node.results; ++r) {
        madeBy[node.first + r] = &node;
        costly[node.first + r] = all && rows[node.first + r].kind == Rows::Kind::Each;
      }
    }
    for (const Node &node : f.nodes)
      for (unsigned r = 0; r < node.results; ++r)
        if (rows[node.first + r].kind != Rows::Kind::Each)
          add(node.operands);
    for (const Output &o : f.outputs)
      add({o.value});
    while (narrow())
      ;
  }
  std::set<Value> values;

private:
  void add(const std::vector<Value> &candidates) {
    for (Value v : candidates)
      if (costly[v])
        values.insert(v);
  }
  /// Moves one value of the border to what it is made of, where that is less, or where its records do not lie one after the other.
  bool narrow() {
    for (Value v : values) {
      const Node &node = *madeBy[v];
      double more = 0;
      bool apart = false;
      for (Value from : std::set<Value>(node.operands.begin(), node.operands.end()))
        if (costly[from]) {
          apart |= rows[from].dim != 0;
          more += values.count(from) ? 0 : elementsOf(f.types[from], batch);
        }
      bool smaller = !isCostly(node.op) && !apart && more < elementsOf(f.types[v], batch);
      if (rows[v].dim == 0 && !smaller)
        continue;
      values.erase(v);
      add(node.operands);
      return true;
    }
    return false;
  }

  const Function &f;
  const std::vector<Rows> &rows;
  const std::string &batch;
  std::vector<const Node *> madeBy;
  std::vector<char> costly; // follows from each record alone, and something on the way is worth to be done once
};

class Cutter {
public:
  explicit Cutter(Program &program) : program(program) {}

  void phase(const TrainProgram &train, PhaseProgram &p) {
    const DataProgram &data = dataNamed(p.data[0]);
    std::set<int> changing = writtenBy(p.step);
    changing.merge(writtenBy(p.gather));
    const std::string prepare = data.prepareTrain.empty() ? data.prepare : data.prepareTrain, frozen = train.name + "." + p.name + ".frozen";
    if (cut(p.step, prepare, changing, p.step, frozen))
      p.frozen = frozen;
    // What gathers gradients has the loss of the step, and so the same border.
    if (!p.frozen.empty() && !p.gather.empty())
      cut(p.gather, prepare, changing, p.gather, frozen);
    for (const EvaluateProgram &e : program.evaluates) {
      if (e.name != train.validate)
        continue;
      const DataProgram &own = dataNamed(e.data);
      std::string name = train.name + "." + p.name + ".valid";
      if (cut(e.step, own.prepare, changing, name, name + ".frozen")) {
        p.validStep = name;
        p.validFrozen = name + ".frozen";
      }
    }
  }

private:
  std::set<int> writtenBy(const std::string &function) const {
    std::set<int> tensors;
    if (const Function *f = functionNamed(program, function))
      for (const Output &o : f->outputs)
        tensors.insert(o.tensor);
    return tensors;
  }
  void put(Function f) {
    for (Function &old : program.functions)
      if (old.name == f.name) {
        old = std::move(f);
        return;
      }
    program.functions.push_back(std::move(f));
  }
  const DataProgram &dataNamed(const std::string &name) const {
    return *std::find_if(program.data.begin(), program.data.end(), [&](const DataProgram &d) { return d.name == name; });
  }

  /// How fields of a batch follow from its records, by name; what is not there comes as it is in the data.
  std::map<std::string, Rows> prepared(const std::string &function) const {
    std::map<std::string, Rows> fields;
    const Function *f = functionNamed(program, function);
    if (!f)
      return fields;
    auto batch = batchOf(*f);
    std::vector<Rows> args;
    for (const Arg &a : f->args)
      args.push_back(a.role == Role::Input ? Rows::each(0) : a.role == Role::Tensor ? Rows::same() : Rows::mixed());
    std::vector<Rows> rows = batch ? rowsOf(*f, args, *batch) : std::vector<Rows>(f->types.size());
    for (const Output &o : f->outputs)
      fields[o.name] = rows[o.value];
    return fields;
  }

  /// Cuts the function in two, the rest called `rest`; false where nothing is to be cut off.
  bool cut(const std::string &function, const std::string &prepare, const std::set<int> &changing, const std::string &rest,
           const std::string &frozen) {
    const Function &f = *functionNamed(program, function);
    auto batch = batchOf(f);
    if (!batch)
      return false;
    std::map<std::string, Rows> fields = prepared(prepare);
    std::set<int> written = changing;
    written.merge(writtenBy(function));
    std::set<Value> moved; // what gradients are asked for must stay with what depends on it
    for (const Node &node : f.nodes)
      if (node.op == Op::Gradient)
        moved.insert(node.operands.begin() + 1, node.operands.end());
    std::vector<Rows> args;
    for (size_t i = 0; i < f.args.size(); ++i) {
      const Arg &a = f.args[i];
      bool fixed = (a.role == Role::Input || (a.role == Role::Tensor && !written.count(a.tensor))) && !moved.count(Value(i));
      auto field = fields.find(a.name);
      args.push_back(!fixed                   ? Rows::mixed()
                     : a.role == Role::Tensor ? Rows::same()
                     : field == fields.end()  ? Rows::each(0)
                                              : field->second);
    }
    std::set<Value> border = Border(f, rowsOf(f, args, *batch, moved), *batch).values;
    if (border.empty())
      return false;
    std::map<Value, std::string> given;
    std::vector<Output> outputs;
    for (Value v : border) {
      given[v] = "frozen." + std::to_string(given.size());
      outputs.push_back({given[v], v, -1});
    }
    Function first = sliced(f, frozen, outputs, {}), second = sliced(f, rest, f.outputs, given);
    put(std::move(first));
    put(std::move(second));
    return true;
  }

  Program &program;
};

} // namespace

void keepFrozen(Program &program) {
  Cutter cutter(program);
  for (TrainProgram &train : program.trains) {
    bool several = std::any_of(train.phases.begin(), train.phases.end(), [&](const PhaseProgram &p) { return p.data != train.phases[0].data || p.data.size() != 1; });
    for (PhaseProgram &p : train.phases)
      if (!several && (p.steps > 0 || p.epochs > 1))
        cutter.phase(train, p);
  }
}

} // namespace bigm
