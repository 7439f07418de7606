// Prints the typed program. One line an operation: `%4 = contract(%0, %1) {...} : f32[N, 10]  # digit_model.linear`.
#include "frontend/PrintGraph.h"
#include <ostream>
#include <sstream>

namespace bigm {

static std::string number(double d) {
  std::ostringstream s;
  s.precision(9);
  s << d;
  return s.str();
}

static std::string affine(const AffineIndices &map) {
  std::string out = "(";
  for (size_t i = 0; i < map.size(); ++i) {
    std::string one;
    for (auto [dim, c] : map[i].terms)
      one += (one.empty() ? "" : " + ") + (c == 1 ? "" : std::to_string(c) + "*") + "d" + std::to_string(dim);
    if (map[i].offset || one.empty())
      one += (one.empty() ? "" : " + ") + std::to_string(map[i].offset);
    out += (i ? ", " : "") + one;
  }
  return out + ")";
}

static std::string text(const Attr &attr) {
  if (auto *i = std::get_if<int64_t>(&attr))
    return std::to_string(*i);
  if (auto *d = std::get_if<double>(&attr))
    return number(*d);
  if (auto *s = std::get_if<std::string>(&attr))
    return "\"" + *s + "\"";
  if (auto *m = std::get_if<AffineIndices>(&attr))
    return affine(*m);
  std::string out = "[";
  auto item = [&](const std::string &s) { out += (out.size() > 1 ? ", " : "") + s; };
  if (auto *v = std::get_if<std::vector<int64_t>>(&attr))
    for (int64_t i : *v)
      item(std::to_string(i));
  if (auto *v = std::get_if<std::vector<Dim>>(&attr))
    for (const Dim &d : *v)
      item(d.str());
  return out + "]";
}

static const char *roleName(Role role) {
  switch (role) {
  case Role::Input: return "input";
  case Role::Tensor: return "tensor";
  case Role::Seed: return "seed";
  case Role::Step: return "step";
  case Role::Steps: return "steps";
  }
  return "?";
}

void print(std::ostream &out, const Function &f) {
  out << "function " << f.name << "(";
  for (size_t i = 0; i < f.symbols.size(); ++i)
    out << (i ? ", " : "") << f.symbols[i];
  out << ") {\n";
  for (size_t i = 0; i < f.args.size(); ++i)
    out << "  %" << i << " = " << roleName(f.args[i].role) << " " << f.args[i].name << " : " << f.types[i].str() << "\n";
  for (const Node &n : f.nodes) {
    out << "  ";
    for (unsigned r = 0; r < n.results; ++r)
      out << (r ? ", " : "") << "%" << n.first + r;
    out << " = " << name(n.op) << "(";
    for (size_t i = 0; i < n.operands.size(); ++i)
      out << (i ? ", " : "") << "%" << n.operands[i];
    out << ")";
    if (!n.attrs.empty()) {
      out << " {";
      bool first = true;
      for (auto &[key, value] : n.attrs) {
        out << (first ? "" : ", ") << key << ": " << text(value);
        first = false;
      }
      out << "}";
    }
    out << " : ";
    for (unsigned r = 0; r < n.results; ++r)
      out << (r ? ", " : "") << f.types[n.first + r].str();
    if (!n.scope.empty())
      out << "  # " << n.scope;
    out << "\n";
    if (n.body) {
      std::ostringstream body;
      print(body, *n.body);
      std::istringstream lines(body.str());
      for (std::string line; std::getline(lines, line);)
        out << "    " << line << "\n";
    }
  }
  for (const Output &o : f.outputs)
    out << "  " << (o.tensor >= 0 ? "update " : "output ") << o.name << " = %" << o.value << "\n";
  out << "}\n";
}

static const char *kindName(TensorDecl::Kind kind) {
  switch (kind) {
  case TensorDecl::Kind::Param: return "param";
  case TensorDecl::Kind::State: return "state";
  case TensorDecl::Kind::Slot: return "slot";
  case TensorDecl::Kind::Metric: return "metric";
  case TensorDecl::Kind::Fit: return "fit";
  }
  return "?";
}

static void print(std::ostream &out, const char *what, const Spec &spec) {
  if (spec.name.empty())
    return;
  out << "  " << what << " " << spec.name << "(";
  bool first = true;
  auto comma = [&] {
    out << (first ? "" : ", ");
    first = false;
  };
  for (auto &s : spec.strings) {
    comma();
    out << "\"" << s << "\"";
  }
  for (auto &[key, value] : spec.options) {
    comma();
    out << key << ": ";
    if (auto *d = std::get_if<double>(&value))
      out << number(*d);
    else
      out << "\"" << std::get<std::string>(value) << "\"";
  }
  out << ")\n";
}

static void print(std::ostream &out, const DataProgram &d) {
  out << "data " << d.name << " {\n";
  print(out, "from", d.from);
  print(out, "test", d.test);
  for (const Field &f : d.fields) {
    out << "  field " << f.name << " : " << f.type.str() << " " << f.kind;
    for (auto &label : f.labels)
      out << " " << label;
    out << "\n";
  }
  for (auto &[name, share] : d.split)
    out << "  split " << name << " " << number(share) << "\n";
  out << "  seed " << d.seed << "\n";
  for (auto &name : d.derived)
    out << "  derived " << name << "\n";
  if (!d.prepare.empty())
    out << "  prepare " << d.prepare << "\n";
  if (!d.prepareTrain.empty())
    out << "  prepare train " << d.prepareTrain << "\n";
  out << "}\n";
}

static void print(std::ostream &out, const TrainProgram &t) {
  out << "train " << t.name << " on " << t.data << " seed " << t.seed << " {\n";
  if (!t.predict.empty())
    out << "  predict " << t.predict << "\n";
  if (!t.validate.empty())
    out << "  validate " << t.validate << "\n";
  for (const PhaseProgram &p : t.phases) {
    out << "  phase " << p.name << " epochs " << number(p.epochs) << " batch " << p.batch;
    if (!p.startFrom.empty())
      out << " start from \"" << p.startFrom << "\"" << (p.startIfPresent ? " if present" : "");
    if (p.ownSchedule)
      out << " own schedule";
    if (!p.stopMetric.empty())
      out << " stop when " << p.stopMetric << " " << p.stopCompare << " " << number(p.stopValue);
    out << " learns " << p.learned.size();
    if (!p.estimate.empty())
      out << " estimates by " << p.estimate;
    out << "\n";
  }
  out << "}\n";
}

static void print(std::ostream &out, const EvaluateProgram &e) {
  out << "evaluate " << e.name << " : " << e.train << " on " << e.data << "." << e.split << " {\n";
  for (auto &m : e.metrics)
    out << "  report " << m.name << " = " << m.output << "\n";
  for (auto &r : e.requires_)
    out << "  require " << r.metric << " " << r.compare << " " << number(r.value) << "\n";
  out << "}\n";
}

void print(std::ostream &out, const Program &p, const std::string &only) {
  auto kept = [&](const std::string &name) { return only.empty() || name.compare(0, only.size(), only) == 0; };
  out << "program " << p.name << "\n";
  for (const TensorDecl &t : p.tensors)
    if (kept(t.name))
      out << kindName(t.kind) << " " << t.name << " : " << t.type.str() << "\n";
  for (const DataProgram &d : p.data)
    if (kept(d.name))
      print(out, d);
  for (const FitProgram &f : p.fits)
    if (kept(f.name))
      out << "fit " << f.name << " on " << f.data << "." << f.split << "\n";
  for (const TrainProgram &t : p.trains)
    if (kept(t.name))
      print(out, t);
  for (const EvaluateProgram &e : p.evaluates)
    if (kept(e.name))
      print(out, e);
  for (const GenerateProgram &g : p.generates)
    if (kept(g.name))
      out << "generate " << g.name << " prefill " << g.prefill << " decode " << g.decode << " ids " << g.ids << " caches "
          << g.caches << " positions " << g.positions << "\n";
  for (const FlowProgram &f : p.flows)
    if (kept(f.name)) {
      out << "flow " << f.name << "\n";
      for (const FlowStep &s : f.steps) {
        out << "  " << s.op << (s.settings.name.empty() ? "" : " " + s.settings.name) << " (";
        for (size_t i = 0; i < s.inputs.size(); ++i)
          out << (i ? ", " : "") << s.inputs[i];
        out << ") -> (";
        for (size_t i = 0; i < s.outputs.size(); ++i)
          out << (i ? ", " : "") << s.outputs[i];
        out << ")\n";
      }
    }
  for (const DeployProgram &d : p.deploys)
    if (kept(d.train)) {
      out << "deploy " << d.train;
      for (auto &t : d.targets)
        out << " target " << t;
      if (!d.precision.empty())
        out << " precision " << d.precision;
      for (auto &part : d.keep)
        out << " keep " << part;
      if (!d.data.empty())
        out << " calibrate " << d.data << "." << d.split;
      out << " version " << d.version << "\n";
    }
  for (const Function &f : p.functions)
    if (kept(f.name))
      print(out, f);
}

} // namespace bigm
