// Why a loss is not finite: the step's forward part compiled once more, with a look at each value.
#pragma once
#include <string>

struct bigm_model;
namespace bigm::data {
struct Batch;
}
namespace bigm::flow {
struct Call;
}
namespace bigm::driver {
using flow::Call;
}

namespace bigm::tool {
struct Checked;
struct CodeOptions;

/// Names the first operation of `function` whose result is not finite on this batch with these weights, and its place:
/// "`log` at net.bigm:12:9 in net.head gave the first NaN". Empty when every value is finite, or when the look itself
/// fails.
std::string firstNonFinite(const Checked &checked, const CodeOptions &code, const std::string &function,
                           bigm_model *weights, const data::Batch &batch, const driver::Call &call);

} // namespace bigm::tool
