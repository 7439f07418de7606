// Sizes that a file leaves open, so that its graph fits together.
//
// Exporters leave sizes open that the graph ties to each other: a network that halves a picture and joins what it doubles
// again with what was there takes even heights only, and two inputs that are added have one batch, whatever they call it. Where
// two sizes must be the same and are not, names are replaced until they are: one name by another, by a number, or, under a
// division, by so many times itself. The declaration then says what the graph takes: f32[N, 3, 4*H, 4*W].
#include "Onnx.h"
#include <algorithm>
#include <numeric>

namespace bigm::sema::onnx_import {
namespace {

using Shapes = std::vector<std::vector<Dim>>;
using Replaced = std::map<std::string, Dim>;
constexpr int64_t kMostTimes = 4096;
constexpr int kMostRounds = 16;

/// Every name that stands under a division, with what would have to divide it for the division to have no rest.
void divided(const Dim &d, std::map<std::string, int64_t> &by) {
  for (auto &[atoms, c] : d.normalForm())
    for (const Dim::Atom &atom : atoms)
      if (atom.num) {
        std::vector<std::string> names;
        atom.num->symbols(names);
        for (const std::string &name : names) {
          int64_t &times = by.try_emplace(name, 1).first->second;
          times = std::lcm(times, atom.den);
        }
        divided(*atom.num, by);
      }
}

/// Without the factors that all terms have: S*N*16 - 112*N is S - 7.
Dim reduced(const Dim &d) {
  Dim::Terms terms = d.normalForm();
  if (terms.empty())
    return d;
  std::vector<Dim::Atom> common = terms.begin()->first;
  int64_t factor = 0;
  for (auto &[atoms, c] : terms) {
    std::vector<Dim::Atom> both;
    std::set_intersection(common.begin(), common.end(), atoms.begin(), atoms.end(), std::back_inserter(both));
    common = both;
    factor = std::gcd(factor, c);
  }
  Dim sum;
  for (auto &[atoms, c] : terms) {
    std::vector<Dim::Atom> rest;
    std::set_difference(atoms.begin(), atoms.end(), common.begin(), common.end(), std::back_inserter(rest));
    Dim term = c / factor;
    for (const Dim::Atom &atom : rest)
      term = term * (atom.num ? atom.num->floorDiv(atom.den) : Dim::symbol(atom.symbol));
    sum = sum + term;
  }
  return sum;
}

/// What to replace so that `a` and `b` become the same, or nearer to it; nothing where no such thing is known.
Replaced replacement(const Dim &a, const Dim &b, const std::vector<std::string> &order) {
  Dim difference = reduced(a - b);
  std::map<std::string, int64_t> by;
  divided(difference, by);
  // Later names become earlier ones, or a number.
  for (auto name = order.rbegin(); name != order.rend(); ++name)
    for (auto &[atoms, c] : difference.normalForm()) {
      if (atoms.size() != 1 || atoms[0].symbol != *name || (c != 1 && c != -1) || by.count(*name))
        continue;
      Dim rest = Dim::symbol(*name) - (c == 1 ? difference : Dim(0) - difference);
      std::vector<std::string> names;
      rest.symbols(names);
      auto number = rest.constant();
      if (rest.asSymbol() || (number && *number > 0))
        return {{*name, rest}};
    }
  Replaced out;
  for (auto &[name, times] : by)
    if (times > 1 && times <= kMostTimes)
      out[name] = Dim::symbol(name) * Dim(times);
  return out;
}

} // namespace

std::string wordOf(const std::string &text, const std::string &otherwise) {
  std::string out;
  for (char c : text)
    out += isalnum((unsigned char)c) || (unsigned char)c >= 128 ? c : '_';
  if (out.empty())
    return otherwise;
  return isdigit((unsigned char)out[0]) ? otherwise + (otherwise == "_" ? "" : "_") + out : out;
}

std::string identifier(const std::string &text, std::set<std::string> &taken) {
  std::string word = wordOf(text, "_"), name = word;
  for (int n = 2; !taken.insert(name).second; ++n)
    name = word + "_" + std::to_string(n);
  return name;
}

std::vector<std::vector<Dim>> inputSizes(const onnx::Model &model, std::set<std::string> &taken) {
  Shapes all;
  std::vector<std::string> order;
  std::map<std::string, std::string> names;
  for (auto &input : model.graph.inputs) {
    all.emplace_back();
    for (size_t i = 0; i < input.shape->size(); ++i) {
      const onnx::Size &size = (*input.shape)[i];
      if (auto *n = std::get_if<int64_t>(&size)) {
        all.back().push_back(*n);
        continue;
      }
      auto *given = std::get_if<std::string>(&size);
      if (given && std::none_of(given->begin(), given->end(), [](unsigned char ch) { return isalnum(ch) || ch >= 128; }))
        given = nullptr; // `?` names nothing
      auto [known, isNew] = names.try_emplace(given ? *given : input.name + "\n" + std::to_string(i));
      if (isNew) {
        known->second = identifier(given ? *given : i == 0 ? "N" : "size_" + std::to_string(i), taken);
        order.push_back(known->second);
      }
      all.back().push_back(Dim::symbol(known->second));
    }
  }
  if (order.size() < 2 && std::none_of(all.begin(), all.end(), [](auto &shape) {
        return std::any_of(shape.begin() + (shape.empty() ? 0 : 1), shape.end(), [](const Dim &d) { return !d.isConstant(); });
      }))
    return all; // a batch alone
  for (int round = 0; round < kMostRounds; ++round) {
    Recorder rec("sizes");
    NoStore store(rec);
    Tensors tensors(rec, store);
    Evaluation evaluation(model, tensors);
    Vals inputs;
    for (size_t i = 0; i < all.size(); ++i) {
      auto elem = elemOf(model.graph.inputs[i].type);
      inputs.push_back(elem ? tensors.recorded(rec.input(model.graph.inputs[i].name, {*elem, all[i], 0}, {}), model.graph.inputs[i].type) : Val());
    }
    evaluation.run(inputs);
    Replaced to;
    for (auto problem = evaluation.problems.begin(); to.empty() && problem != evaluation.problems.end(); ++problem)
      if (problem->unequal)
        to = replacement(problem->unequal->first, problem->unequal->second, order);
    if (to.empty())
      break;
    Shapes next = all;
    for (auto &shape : next)
      for (Dim &d : shape) {
        d = d.substitute([&](const std::string &name) {
          auto found = to.find(name);
          return found == to.end() ? std::nullopt : std::optional(found->second);
        });
        for (auto &[atoms, c] : d.normalForm())
          if (c > kMostTimes && !atoms.empty())
            return all;
      }
    all = std::move(next);
  }
  return all;
}

} // namespace bigm::sema::onnx_import
