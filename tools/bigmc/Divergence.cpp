#include "Divergence.h"
#include "Compiler.h"
#include "Module.h"
#include "frontend/Trace.h"
#include "runtime/driver/Session.h"
#include <algorithm>

namespace bigm::tool {

std::string firstNonFinite(const Checked &checked, const CodeOptions &options, const std::string &function,
                           bigm_model *weights, const data::Batch &batch, const driver::Call &call) try {
  const Program &whole = checked.program;
  auto step = std::find_if(whole.functions.begin(), whole.functions.end(), [&](auto &f) { return f.name == function; });
  if (step == whole.functions.end())
    return "";
  Trace trace = traceOf(*step, "loss");
  Program program;
  program.name = whole.name;
  program.tensors = whole.tensors;
  program.functions = {trace.function};
  int code = 0;
  auto compiled = compile(program, checked.sources, checked.sourceSha256, options, code);
  auto module = compiled ? openCompiled(*compiled, code) : nullptr;
  if (!module)
    return "";
  driver::Session session(module->get(), 0);
  for (const Arg &arg : trace.function.args)
    if (arg.role == Role::Tensor) {
      auto &t = session.program().tensors[size_t(arg.tensor)];
      driver::expect(bigm_model_write(session.model(), arg.tensor, bigm_model_data(weights, arg.tensor),
                                      uint64_t(data::product(t.shape)) * data::sizeOf(t.elem)));
    }
  driver::Values values = session.run(trace.function.name, batch, call);
  auto first = [&](const std::string &question) {
    size_t i = 0;
    while (i < trace.looks.size() && driver::scalarOf(values.at(question + "." + std::to_string(i))) == 1)
      ++i;
    return i;
  };
  auto place = [&](const Node &node) {
    std::string text = std::string("`") + name(node.op) + "`";
    if (node.where.valid()) {
      LineColumn at = checked.sources.place(node.where.file, node.where.begin);
      text += " at " + checked.sources.name(node.where.file) + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
    }
    return node.scope.empty() ? text : text + " in " + node.scope;
  };
  size_t none = trace.looks.size(), infinite = first("finite"), nan = first("number");
  if (infinite == none)
    return "";
  if (nan == none)
    return place(trace.looks[infinite]) + " gave the first infinity";
  std::string text = place(trace.looks[nan]) + " gave the first NaN";
  return infinite < nan ? text + ", after " + place(trace.looks[infinite]) + " gave an infinity" : text;
} catch (const std::exception &) {
  return ""; // the training has failed already; this was to say more about it
}

} // namespace bigm::tool
