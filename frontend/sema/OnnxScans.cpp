// Recurrences of graphs: one step is evaluated on values that stand for any step's, and becomes an operation.
#include "OnnxTensors.h"
#include <algorithm>

namespace bigm::sema::onnx_import {

Vals Tensors::scan(const Vals &starts, const Vals &xs, const Dim &count, bool reverse, const Step &step) {
  std::vector<Value> first, through;
  for (const Val &v : starts)
    first.push_back(use(v));
  for (const Val &v : xs)
    through.push_back(use(v));
  Recorder::Step s = rec.beginScan();
  Vals states, rows;
  for (size_t i = 0; i < starts.size(); ++i) {
    s.states.push_back(rec.stepInput(rec.type(first[i])));
    states.push_back(recorded(s.states.back(), starts[i].type));
  }
  for (size_t i = 0; i < xs.size(); ++i) {
    TensorType row = rec.type(through[i]);
    row.shape.erase(row.shape.begin());
    s.rows.push_back(rec.stepInput(row));
    rows.push_back(recorded(s.rows.back(), xs[i].type));
  }
  std::vector<Value> next, given;
  Vals gives;
  try {
    gives = step(states, rows);
    if (std::any_of(gives.begin(), gives.end(), [](const Val &v) { return !v.some(); })) {
      rec.dropScan(s);
      return {};
    }
    for (size_t i = 0; i < gives.size(); ++i) {
      if (i < starts.size() && (gives[i].type != starts[i].type || gives[i].shape != starts[i].shape))
        refuse("what is carried from step to step begins as " + typeText(starts[i]) + " and becomes " + typeText(gives[i]));
      (i < starts.size() ? next : given).push_back(use(gives[i]));
    }
  } catch (const Refusal &) {
    rec.dropScan(s);
    throw;
  }
  Vals out;
  for (Value v : rec.endScan(s, first, through, next, given, count, reverse))
    out.push_back(recorded(v, gives[out.size()].type));
  return out;
}

} // namespace bigm::sema::onnx_import
