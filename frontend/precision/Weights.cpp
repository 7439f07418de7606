#include "frontend/precision/Weights.h"

namespace bigm {

std::optional<int> channelsOf(const Function &f, const Node &node, Value weight) {
  if (node.op == Op::Gather)
    return node.operands[0] == weight ? std::optional(0) : std::nullopt;
  if (node.op != Op::Contract)
    return std::nullopt;
  size_t rank = f.types[node.first].shape.size();
  const auto &map = std::get<AffineIndices>(node.attrs.at(node.operands[0] == weight ? "lhs_map" : "rhs_map"));
  std::optional<int> found;
  for (size_t i = 0; i < map.size(); ++i)
    if (map[i].offset == 0 && map[i].terms.size() == 1 && map[i].terms[0].first < rank && map[i].terms[0].second == 1)
      found = int(i); // the last: what stands before are groups
  return found;
}

} // namespace bigm
