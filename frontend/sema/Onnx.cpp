// The walk over a graph: scopes of names, functions of the file, and what went wrong.
#include "Onnx.h"
#include <stdexcept>

namespace bigm::sema::onnx_import {

const Table &operators() {
  static const Table table = [] {
    Table t;
    for (auto add : {addPointwise, addActivations, addShapes, addPads, addReductions, addConvolutions, addPools,
                     addProducts, addNorms, addLookups, addSampling, addRegions, addResize, addQuantized, addRecurrent, addControl, addLosses,
                     addAttention, addSignals, addConstants, addClassical, addTrees, addSupportVectors, addEncoders, addFused,
                     addFusedAttention, addFusedQuantized})
      add(t);
    return t;
  }();
  return table;
}

// ---------------------------------------------------------------- one node

const Val &NodeCall::x(size_t i) const {
  if (!has(i))
    refuse("operand " + std::to_string(i) + " is left out");
  return in[i];
}

Dim &Sizes::lacks(size_t d) const {
  refuse("a tensor of rank " + std::to_string(size()) + (empty() ? "" : ", whose dimension " + std::to_string(d) + " is asked for"));
}

const Val &NodeCall::ranked(size_t least, size_t most) const {
  const Val &v = x();
  if (v.sequence || v.rank() < least || v.rank() > most)
    refuse(typeText(v) + " where a tensor of rank " + std::to_string(least) +
           (most == least ? "" : most == 64 ? " or more" : " to " + std::to_string(most)) + " is needed");
  return v;
}

const onnx::Attribute *NodeCall::attribute(const std::string &name) const {
  auto found = node.attributes.find(name);
  return found == node.attributes.end() || found->second.kind == onnx::Attribute::Kind::None ? nullptr : &found->second;
}
int64_t NodeCall::integer(const std::string &name, int64_t otherwise) const {
  auto *a = attribute(name);
  return a ? a->integer : otherwise;
}
double NodeCall::real(const std::string &name, double otherwise) const {
  auto *a = attribute(name);
  return a ? a->real : otherwise;
}
std::string NodeCall::text(const std::string &name, const std::string &otherwise) const {
  auto *a = attribute(name);
  return a ? a->text : otherwise;
}
std::vector<int64_t> NodeCall::integers(const std::string &name, std::vector<int64_t> otherwise) const {
  auto *a = attribute(name);
  return a ? a->integers : otherwise;
}
std::vector<double> NodeCall::reals(const std::string &name) const {
  auto *a = attribute(name);
  return a ? std::vector<double>(a->reals.begin(), a->reals.end()) : std::vector<double>();
}
std::optional<std::vector<int64_t>> NodeCall::integersOf(const std::string &name, size_t i) const {
  if (has(i))
    return t.ints(in[i], ("`" + name + "`").c_str());
  if (auto *a = attribute(name))
    return a->kind == onnx::Attribute::Kind::Int ? std::vector<int64_t>{a->integer} : a->integers;
  return std::nullopt;
}

Vals NodeCall::as(const std::string &op, int64_t set, Vals operands, std::map<std::string, onnx::Attribute> attributes) const {
  onnx::Node other{node.name, op, "", node.inputs, node.outputs, std::move(attributes)};
  NodeCall call{other, set, std::move(operands), t, evaluation};
  return operators().at(op)(call);
}

onnx::Attribute attributeOf(int64_t n) {
  onnx::Attribute a;
  a.kind = onnx::Attribute::Kind::Int;
  a.integer = n;
  return a;
}
onnx::Attribute attributeOf(double x) {
  onnx::Attribute a;
  a.kind = onnx::Attribute::Kind::Float;
  a.real = float(x);
  return a;
}

Type typeOf(int64_t number) {
  if (number <= 0 || number > int64_t(Type::F8E8M0))
    refuse("the type number " + std::to_string(number));
  return Type(number);
}

// ---------------------------------------------------------------- the walk

Evaluation::Evaluation(const onnx::Model &model, Tensors &tensors) : model(model), tensors(tensors) {}

const Val *Evaluation::find(const std::string &name) const {
  for (const Scope *s = scope; s; s = s->outer) {
    auto found = s->names.find(name);
    if (found != s->names.end())
      return &found->second;
  }
  return nullptr;
}

void Evaluation::spend() {
  if (--left < 0)
    refuse("more steps than are unrolled");
}

void Evaluation::initialise(const onnx::Graph &graph) {
  for (const onnx::Tensor &t : graph.initializers) {
    // Shares the model's tensor, which outlives what is recorded only through its bytes' owner.
    std::shared_ptr<const onnx::Tensor> shared(std::shared_ptr<const void>(), &t);
    try {
      scope->names[t.name] = tensors.fromFile(shared, false);
    } catch (const Refusal &r) {
      scope->names[t.name] = {};
      if (reported.insert(t.name).second)
        problems.push_back({t.name, "initialiser", r.why, false});
    }
  }
}

Vals Evaluation::run(const Vals &inputs) {
  opsets = &model.opsets;
  return run(model.graph, inputs);
}

Vals Evaluation::run(const onnx::Graph &graph, const Vals &inputs) {
  if (depth > 40)
    refuse("graphs inside graphs more than 40 deep");
  ++depth;
  Scope inner;
  inner.outer = scope;
  inner.attributes = scope ? scope->attributes : nullptr;
  Scope *saved = scope;
  scope = &inner;
  initialise(graph);
  for (size_t i = 0; i < graph.inputs.size(); ++i)
    inner.names[graph.inputs[i].name] = i < inputs.size() ? inputs[i] : Val();
  evaluate(graph.nodes, *opsets);
  Vals out;
  for (auto &output : graph.outputs) {
    const Val *v = find(output.name);
    out.push_back(v ? *v : Val());
  }
  scope = saved;
  --depth;
  return out;
}

Vals Evaluation::call(const onnx::Function &function, const onnx::Node &node, const Vals &in) {
  if (depth > 40)
    refuse("functions that call each other more than 40 deep");
  ++depth;
  Scope inner; // a function sees its own names only
  std::map<std::string, onnx::Attribute> attributes = function.defaults;
  for (auto &[name, value] : node.attributes)
    attributes[name] = value;
  inner.attributes = &attributes;
  Scope *savedScope = scope;
  auto *savedOpsets = opsets;
  scope = &inner;
  opsets = &function.opsets;
  for (size_t i = 0; i < function.inputs.size(); ++i)
    inner.names[function.inputs[i]] = i < in.size() ? in[i] : Val();
  evaluate(function.nodes, function.opsets);
  Vals out;
  for (auto &name : function.outputs) {
    const Val *v = find(name);
    out.push_back(v ? *v : Val());
  }
  scope = savedScope;
  opsets = savedOpsets;
  --depth;
  return out;
}

static std::string nameOf(const onnx::Node &node) {
  return !node.name.empty() || node.outputs.empty() ? node.name : node.outputs[0];
}

void Evaluation::evaluate(const std::vector<onnx::Node> &nodes, const std::map<std::string, int64_t> &sets) {
  std::string path = tensors.rec.scope;
  for (const onnx::Node &written : nodes) {
    const onnx::Node *node = &written;
    onnx::Node resolved;
    for (auto &[name, value] : written.attributes)
      if (!value.reference.empty()) {
        if (node != &resolved) {
          resolved = written;
          node = &resolved;
        }
        auto found =
            scope->attributes ? scope->attributes->find(value.reference) : decltype(scope->attributes->find("")){};
        if (scope->attributes && found != scope->attributes->end() && found->second.kind != onnx::Attribute::Kind::None)
          resolved.attributes[name] = found->second;
        else
          resolved.attributes.erase(name);
      }
    Vals in, out;
    bool poison = false;
    for (const std::string &input : node->inputs) {
      const Val *v = input.empty() ? nullptr : find(input);
      // A value that is missing though it is named comes from a node that could not be imported, or is an operand that
      // the caller of a function left out.
      poison |= v && !v->some() && !scope->attributes;
      in.push_back(v ? *v : Val());
    }
    tensors.rec.scope = path + "." + nameOf(*node);
    Vals shown = seen && depth == 1 ? in : Vals();
    auto version = sets.find(node->domain);
    auto problem = [&](std::string why, bool needsKnown, std::optional<Unequal> unequal = {}) {
      if (reported.insert(nameOf(*node) + "\n" + node->op).second)
        problems.push_back({nameOf(*node), node->op, std::move(why), needsKnown, std::move(unequal)});
    };
    if (!poison) {
      try {
        spend();
        const onnx::Function *own = nullptr;
        for (auto &f : model.functions)
          if (f.name == node->op && f.domain == node->domain)
            own = &f;
        auto known = operators().find((node->domain.empty() ? "" : node->domain + ".") + node->op);
        if (own) {
          out = call(*own, *node, in);
        } else if (node->domain == std::string(kContributed) + ".nchwc") {
          problem("ONNX Runtime wrote it for the machine it ran on; let it optimise no further than `extended`", false);
        } else if (!node->domain.empty() && node->domain != kClassical && node->domain != kContributed) {
          problem("operators of the domain `" + node->domain + "` are not supported", false);
        } else if (known == operators().end()) {
          problem("the operator is not supported", false);
        } else if (version == sets.end()) {
          problem("the file names no version of these operators", false);
        } else {
          NodeCall c{*node, version->second, std::move(in), tensors, *this};
          out = known->second(c);
        }
      } catch (const Refusal &r) {
        problem(r.why, r.needsKnown, r.unequal);
      } catch (const std::out_of_range &) { // a body or a sequence with fewer values than the node takes from it
        problem("fewer operands or results than it needs", false);
      }
    }
    if (seen && depth == 1)
      seen(written, shown, out);
    for (size_t i = 0; i < node->outputs.size(); ++i)
      if (!node->outputs[i].empty())
        scope->names[node->outputs[i]] = i < out.size() ? out[i] : Val();
  }
  tensors.rec.scope = path;
}

} // namespace bigm::sema::onnx_import
