#include "frontend/precision/Kept.h"
#include "frontend/precision/Weights.h"
#include <algorithm>
#include <set>

namespace bigm {
namespace {

/// Weights below stay as they are: what they cost is not worth an error.
constexpr int64_t leastElements = 1024;

int64_t countOf(const TensorType &type) {
  int64_t count = 1;
  for (const Dim &d : type.shape)
    count *= d.constant().value_or(0);
  return count;
}

bool within(const std::string &name, const std::string &part) {
  return name == part || (name.size() > part.size() && name.compare(0, part.size(), part) == 0 && name[part.size()] == '.');
}

std::string precisionOf(const DeployProgram &d) { return d.precision.empty() ? "f32" : d.precision; }

Elem elemOf(const DeployProgram &d) {
  std::string precision = precisionOf(d);
  return precision == "int8" ? Elem::I8 : precision == "bf16" ? Elem::BF16 : precision == "f16" ? Elem::F16 : Elem::F32;
}

/// "int8 calibrated on digits.valid".
std::string nameOf(const DeployProgram &d, Elem elem) {
  return elem != Elem::I8 ? name(elem) : d.data.empty() ? "int8" : "int8 calibrated on " + d.data + "." + d.split;
}

/// The weights that a deploy ships and that are worth fewer bits, and how it keeps each.
std::map<int, Elem> shippedBy(const Program &program, const DeployProgram &d) {
  std::set<int> here;
  for (size_t i = 0; i < program.tensors.size(); ++i)
    if (d.train.empty() || within(program.tensors[i].name, d.train))
      here.insert(int(i));
  // What it shares with others is called by its own name.
  for (const TrainProgram &t : program.trains)
    if (t.name == d.train)
      for (const Function &f : program.functions)
        if (f.name == t.forward)
          for (const Arg &a : f.args)
            if (a.role == Role::Tensor)
              here.insert(a.tensor);
  std::map<int, Elem> shipped;
  for (int i : here) {
    const TensorDecl &decl = program.tensors[size_t(i)];
    bool kept = std::any_of(d.keep.begin(), d.keep.end(), [&](const std::string &part) {
      return within(decl.name, part) || within(decl.name, d.train + "." + part);
    });
    if (decl.kind == TensorDecl::Kind::Param && decl.type.elem == Elem::F32 && decl.type.shape.size() >= 2 &&
        countOf(decl.type) >= leastElements)
      shipped[i] = kept ? Elem::F32 : elemOf(d);
  }
  return shipped;
}

/// A table is looked up by rows, so these have the scales; else what the first product says.
int axisOf(const Program &program, int tensor) {
  std::optional<int> axis;
  for (const Function &f : program.functions)
    for (size_t a = 0; a < f.args.size(); ++a)
      if (f.args[a].tensor == tensor)
        for (const Node &node : f.nodes)
          if (std::find(node.operands.begin(), node.operands.end(), Value(a)) != node.operands.end()) {
            if (node.op == Op::Gather && node.operands[0] == a)
              return 0;
            if (!axis)
              axis = channelsOf(f, node, Value(a));
          }
  return axis.value_or(0);
}
} // namespace

std::vector<DeployProgram> deploysAt(const Program &program, const std::string &precision, const std::string &only) {
  std::vector<DeployProgram> deploys = program.deploys;
  if (deploys.empty())
    deploys.emplace_back();
  std::erase_if(deploys, [&](const DeployProgram &d) { return !only.empty() && d.train != only; });
  if (!precision.empty())
    for (DeployProgram &d : deploys)
      d.precision = precision;
  return deploys;
}

std::map<int, Kept> keptBy(const Program &program, const std::vector<DeployProgram> &deploys) {
  std::map<int, Kept> kept;
  for (const DeployProgram &d : deploys)
    for (auto [tensor, elem] : shippedBy(program, d))
      if (elem != Elem::F32 && !kept.count(tensor))
        kept[tensor] = {elem, axisOf(program, tensor), elem == Elem::I8 && !d.data.empty()};
  return kept;
}

std::optional<Conflict> conflictIn(const Program &program, const std::vector<DeployProgram> &deploys) {
  std::map<int, std::pair<size_t, std::string>> seen;
  for (size_t i = 0; i < deploys.size(); ++i)
    for (auto [tensor, elem] : shippedBy(program, deploys[i])) {
      std::string how = nameOf(deploys[i], elem);
      if (auto [found, fresh] = seen.try_emplace(tensor, i, how); !fresh && found->second.second != how)
        return Conflict{program.tensors[size_t(tensor)].name, found->second.first, i, found->second.second, how};
    }
  return std::nullopt;
}

std::string precisionText(const std::vector<DeployProgram> &deploys) {
  std::string all;
  bool differ = false;
  for (const DeployProgram &d : deploys) {
    differ |= nameOf(d, elemOf(d)) != nameOf(deploys.front(), elemOf(deploys.front()));
    all += (all.empty() ? "" : ", ") + nameOf(d, elemOf(d)) + " (" + d.train + ")";
  }
  return differ ? all : nameOf(deploys.front(), elemOf(deploys.front()));
}

} // namespace bigm
