// A recurrence that is no layer of `std.sequence`, as `scan`: peepholes, bounds, a reset before the product.
//
// What the importer recorded of one step is written as the body of the loop, operation by operation. New states get names first
// and are handed on at its end, since each may be made of all old ones.
#include "frontend/import/Writer.h"
#include <fmt/format.h>
#include <utility>

namespace bigm::writing {

const Node *Recorded::maker(Value v) const {
  if (!step)
    return rec->maker(v);
  for (const Node &n : step->nodes)
    if (n.first <= v && v < n.first + n.results)
      return &n;
  return nullptr;
}

void Body::scan(const Seen &seen, const Node &node) {
  if (graph.step)
    throw Unwritable{"a recurrence in a recurrence"};
  size_t starts = size_t(std::get<int64_t>(node.attrs.at("starts"))), rows = size_t(std::get<int64_t>(node.attrs.at("xs")));
  const Dim steps = std::get<std::vector<Dim>>(node.attrs.at("steps"))[0];
  std::map<Value, std::string> inside;
  std::string over, from;
  std::vector<std::string> states;
  auto row = [&](const std::string &name, const std::string &of) { over += fmt::format("{}{} in {}", over.empty() ? "" : ", ", name, of); };
  for (size_t i = 0; i < node.operands.size(); ++i) {
    std::string outer = named(seen, node.operands[i]), own = outer;
    if (i < starts) {
      states.push_back(own = fresh("past"));
      from += fmt::format("{}{} = {}", from.empty() ? "" : ", ", own, outer);
    } else if (i < starts + rows) {
      row(own = fresh("now"), outer);
    }
    inside[Value(i)] = own;
  }
  if (over.empty()) // so many steps, none of which reads a row
    row(fresh("step"), statement(seen, fmt::format("iota({})", steps.str())));

  std::swap(inside, primitives);
  std::vector<std::string> outer = std::exchange(statements, {});
  graph.step = node.body.get();
  std::vector<std::string> results;
  std::string last;
  try {
    for (const Output &output : node.body->outputs)
      results.push_back(named(seen, output.value));
  } catch (const Unwritable &) {
    graph.step = nullptr;
    statements = outer;
    std::swap(inside, primitives);
    throw;
  }
  // A state that another one becomes is read before it changes.
  for (size_t i = 0; i < starts; ++i)
    for (size_t k = 0; k < results.size(); ++k)
      if (i != k && results[k] == states[i] && results[i] != states[i])
        results[k] = statement(seen, results[k] + " + 0");
  std::string body;
  for (const std::string &line : statements)
    body += "  " + line + "\n";
  for (size_t i = 0; i < starts; ++i)
    if (results[i] != states[i])
      body += fmt::format("  {} = {}\n", states[i], results[i]);
  size_t given = results.size() - starts;
  if (given == 1)
    last = results[starts];
  for (size_t i = 0; given > 1 && i < given; ++i)
    last += fmt::format("{}y{}: {}", i ? ", " : "{ ", i, results[starts + i]);
  body += last.empty() ? "" : "  " + last + (given > 1 ? " }" : "") + "\n";
  graph.step = nullptr;
  statements = std::move(outer);
  std::swap(inside, primitives);

  bool reverse = std::get<int64_t>(node.attrs.at("reverse")) != 0;
  std::string run = statement(seen, fmt::format("scan {} over 0{} from {} {{\n{}}}", over, reverse ? " reverse true" : "", from, body));
  for (size_t i = 0; i < results.size(); ++i)
    primitives[node.first + i] = i < starts ? run + "." + states[i] : given == 1 ? run + ".steps" : fmt::format("{}.steps.y{}", run, i - starts);
}

} // namespace bigm::writing
