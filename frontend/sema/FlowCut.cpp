// From one recorded function to several with the host's steps between them.
//
// Level 0 is what follows from the flow's inputs alone; a host step that reads values of level k gives ones of level k+1;
// an operation has the level of its latest operand. All operations of one level are one function: between two host steps
// nothing waits, and the compiler fuses across the models of a flow. A value that a later level needs is an output of its
// own level and an input there. What depends on no input (constants) is made where it is needed. Operations on the rows of
// a list or branch are a function of their own, which is not called where there are no such rows; it follows those of the
// spaces outside, whose values it may read.
#include "Flow.h"
#include "Sizes.h"
#include <algorithm>

namespace bigm::sema {
namespace {

constexpr int kAnywhere = -1; // depends on no input

class Cutter {
public:
  Cutter(const Function &whole, const std::string &name, const std::vector<FlowSpace> &spaces,
         const std::map<std::string, size_t> &slotSpace)
      : whole(whole), name(name), spaces(spaces), slotSpace(slotSpace) {
    levels.assign(whole.types.size(), kUnknown);
    nodeOf.assign(whole.types.size(), -1);
    for (size_t n = 0; n < whole.nodes.size(); ++n)
      for (unsigned r = 0; r < whole.nodes[n].results; ++r)
        nodeOf[whole.nodes[n].first + r] = int(n);
    for (const Output &o : whole.outputs)
      slotOf[o.value] = o.name;
  }

  std::vector<FlowStep> run(const std::vector<FlowStep> &host, Program &program) {
    std::map<int, std::vector<const FlowStep *>> byLevel;
    int last = 0;
    for (const FlowStep &step : host) { // in program order: what a step reads was given before
      int level = 0;
      for (const std::string &slot : step.inputs)
        level = std::max(level, slotLevel(slot));
      for (const std::string &slot : step.outputs)
        given[slot] = level + 1;
      byLevel[level].push_back(&step);
      last = std::max(last, level + 1);
    }
    for (const Output &o : whole.outputs)
      last = std::max(last, doneAt(o.value));
    std::vector<FlowStep> steps;
    for (int level = 0; level <= last; ++level) {
      for (size_t space = 0; space < spaces.size(); ++space) {
        std::string function = name + ".flow" + (level ? "." + std::to_string(level) : "");
        function += space ? "." + spaces[space].rows.str() : "";
        auto part = partOf(level, space, function);
        if (!part)
          continue;
        FlowStep call;
        call.op = "call";
        call.settings.name = function;
        if (space)
          call.settings.options["rows"] = spaces[space].slot;
        for (const Arg &a : part->args)
          if (a.role == Role::Input) {
            call.inputs.push_back(a.name);
            if (space && inputSpaces.at(a.name) == space)
              call.settings.strings.push_back(a.name);
          }
        for (const Output &o : part->outputs)
          call.outputs.push_back(o.name);
        program.functions.push_back(std::move(*part));
        steps.push_back(std::move(call));
      }
      for (const FlowStep *step : byLevel[level])
        steps.push_back(*step);
    }
    return steps;
  }

private:
  static constexpr int kUnknown = -2;

  size_t spaceOf(Value v) const {
    if (nodeOf[v] >= 0)
      return whole.nodes[size_t(nodeOf[v])].space;
    auto given = slotSpace.find(whole.args[v].name);
    return given == slotSpace.end() ? 0 : given->second;
  }
  /// The level from which on it is known which rows a space has.
  int begins(size_t space) const {
    auto numbers = given.find(spaces[space].slot);
    return numbers == given.end() ? 0 : numbers->second;
  }
  /// The level whose function gives the value; one that depends on nothing is made as soon as its rows are known.
  int doneAt(Value v) {
    int level = levelOf(v);
    return level != kAnywhere ? level : nodeOf[v] < 0 ? 0 : begins(spaceOf(v));
  }
  int slotLevel(const std::string &slot) {
    auto found = given.find(slot);
    if (found != given.end())
      return found->second;
    for (const Output &o : whole.outputs)
      if (o.name == slot)
        return doneAt(o.value);
    return 0; // an input of the flow
  }
  int levelOf(Value v) {
    int &level = levels[v];
    if (level != kUnknown)
      return level;
    int found = kAnywhere;
    if (nodeOf[v] < 0) {
      const Arg &arg = whole.args[v];
      if (arg.role == Role::Input)
        found = slotLevel(arg.name);
    } else {
      for (Value operand : whole.nodes[size_t(nodeOf[v])].operands)
        found = std::max(found, levelOf(operand));
      if (found != kAnywhere)
        found = std::max(found, begins(spaceOf(v)));
    }
    return levels[v] = found;
  }
  const std::string &nameOf(Value v) {
    std::string &slot = slotOf[v];
    if (slot.empty())
      slot = "value." + std::to_string(v); // no path that a program can write
    return slot;
  }

  /// The function of one level; nothing when it computes nothing.
  std::optional<Function> partOf(int level, size_t space, const std::string &function) {
    std::vector<Value> wanted;
    auto want = [&](Value v) {
      if (nodeOf[v] >= 0 && doneAt(v) == level && spaceOf(v) == space && std::find(wanted.begin(), wanted.end(), v) == wanted.end())
        wanted.push_back(v);
    };
    for (const Output &o : whole.outputs)
      want(o.value);
    for (const Node &n : whole.nodes)
      if (levelOf(n.first) > level || (levelOf(n.first) == level && n.space != space))
        for (Value operand : n.operands)
          if (levelOf(operand) != kAnywhere)
            want(operand);
    if (wanted.empty())
      return std::nullopt;

    std::set<Value> inputs; // arguments of the whole, or values of earlier levels
    std::set<int> nodes;
    std::function<void(Value)> need = [&](Value v) {
      bool here = nodeOf[v] >= 0 && ((levelOf(v) == level && spaceOf(v) == space) || levelOf(v) == kAnywhere);
      if (!here) {
        inputs.insert(v);
        return;
      }
      if (nodes.insert(nodeOf[v]).second)
        for (Value operand : whole.nodes[size_t(nodeOf[v])].operands)
          need(operand);
    };
    for (Value v : wanted)
      need(v);
    // Sizes are read from inputs, so one that has it comes along where only its size is used: ids, for `present(ids)`.
    std::vector<std::string> used, told;
    for (int n : nodes) {
      const Node &node = whole.nodes[size_t(n)];
      for (unsigned r = 0; r < node.results; ++r)
        symbolsOf(whole.types[node.first + r], used);
      symbolsOf(node, used);
    }
    for (Value v : inputs)
      symbolsOf(whole.types[v], told);
    for (size_t v : argumentsForSizes(used, told, whole.args.size(), [&](size_t v) {
           bool here = whole.args[v].role == Role::Input && spaceOf(Value(v)) == space && levelOf(Value(v)) <= level;
           return here ? &whole.types[v] : nullptr;
         }))
      inputs.insert(Value(v));

    Function out;
    out.name = function;
    std::map<Value, Value> renumbered;
    auto argument = [&](Value v) {
      Arg a;
      if (nodeOf[v] < 0) {
        a = whole.args[v];
      } else {
        a.name = nameOf(v);
        a.type = whole.types[v];
        a.where = whole.nodes[size_t(nodeOf[v])].where;
      }
      renumbered[v] = Value(out.types.size());
      inputSpaces[a.name] = spaceOf(v);
      out.types.push_back(a.type);
      out.args.push_back(std::move(a));
    };
    // Inputs first, then persistent tensors, as everywhere.
    for (bool given : {true, false})
      for (Value v : inputs)
        if ((nodeOf[v] >= 0 || whole.args[v].role == Role::Input) == given)
          argument(v);
    if (std::none_of(out.args.begin(), out.args.end(), [](const Arg &a) { return a.role == Role::Input; })) {
      // Nothing but the numbers of its rows says how many there are.
      Arg rows;
      rows.name = space ? spaces[space].slot : kRecords;
      rows.type = {Elem::I32, {spaces[space].rows}, 0};
      rows.where = whole.nodes[size_t(*nodes.begin())].where;
      inputSpaces[rows.name] = space;
      for (auto &[v, number] : renumbered)
        ++number;
      out.types.insert(out.types.begin(), rows.type);
      out.args.insert(out.args.begin(), std::move(rows));
    }
    for (int n : nodes) { // sets are sorted, and nodes stand behind their operands
      Node copy = whole.nodes[size_t(n)];
      for (Value &v : copy.operands)
        v = renumbered.at(v);
      Value first = copy.first;
      copy.first = Value(out.types.size());
      for (unsigned r = 0; r < copy.results; ++r) {
        renumbered[first + r] = Value(out.types.size());
        out.types.push_back(whole.types[first + r]);
      }
      out.nodes.push_back(std::move(copy));
    }
    for (Value v : wanted)
      out.outputs.push_back({nameOf(v), renumbered.at(v), -1});
    out.symbols = symbolsOf(out);
    return out;
  }

  const Function &whole;
  const std::string &name;
  const std::vector<FlowSpace> &spaces;
  const std::map<std::string, size_t> &slotSpace;
  std::map<std::string, size_t> inputSpaces; // of the functions' inputs
  std::vector<int> levels, nodeOf;
  std::map<Value, std::string> slotOf;
  std::map<std::string, int> given; // level of what host steps give
};

} // namespace

std::vector<FlowStep> Checker::FlowBuild::cut(const Function &whole, Program &program) const {
  return Cutter(whole, name, spaces, slotSpace).run(steps, program);
}

} // namespace bigm::sema
