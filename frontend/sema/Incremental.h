// From a model over whole sequences to the two functions that continue sequences piece by piece.
//
// Where positions meet in causal attention alone, what a position computes depends on earlier ones through their keys
// and values only. `prefill` takes the first tokens of sequences as the model does and also gives these keys and values;
// `decode` computes further tokens alone, given what is kept of the earlier ones. Both give the logits behind the last
// token of each sequence.
#pragma once
#include "frontend/Graph.h"
#include <variant>

namespace bigm::sema {

/// The operation that stands in the way, and why.
struct Refusal {
  SourceRange where;
  std::string op, why; // "reduce_sum", "sums over positions"
};
struct Incremental {
  Function prefill, decode;
  GenerateProgram program;
};
/// `forward` takes numbers of tokens i32[N, T] and gives logits f32[N, T, V].
std::variant<Incremental, Refusal> makeIncremental(const Function &forward, const std::vector<TensorDecl> &tensors,
                                                   const std::string &name);

} // namespace bigm::sema
