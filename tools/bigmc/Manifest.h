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
  std::string sourceSha256, target, compiler;
};

/// Everything but `args` and `arena` of the functions, which the backend's plan decides.
nlohmann::ordered_json manifestOf(const Program &program, const ManifestFacts &facts);

/// Shape, element type, classes: the part that tensors, fields and arguments share.
nlohmann::ordered_json describeType(const TensorType &type);

} // namespace bigm::tool
