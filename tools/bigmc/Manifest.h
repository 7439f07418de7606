// The manifest: what a compiled program says of itself, as docs/abi.md lays it out.
#pragma once
#include "frontend/Graph.h"
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace bigm::tool {

/// Facts that neither the program nor the plan knows.
struct ManifestFacts {
  std::string sourceSha256, compiler;
};

/// Everything but what differs from target to target: `target`, `needs` and `functions` have their places and are empty.
nlohmann::ordered_json manifestOf(const Program &program, const ManifestFacts &facts);

/// Shape, element type, classes: the part that tensors, fields and arguments share.
nlohmann::ordered_json describeType(const TensorType &type);

} // namespace bigm::tool
