// Which weights a program keeps in fewer bits, and how: what its `deploy`s say, or the command line in their place.
//
// A library has each weight once. So two deploys that ship a weight together must keep it alike; what they have apart may
// differ.
#pragma once
#include "frontend/Graph.h"
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bigm {

/// How a weight is kept that is not f32.
struct Kept {
  Elem elem = Elem::F32;
  int axis = 0; // of i8: the dimension along which its scales go
  bool activations = false; // of i8: what it multiplies is kept so too, with ranges from data
};

/// The program's deploys, with `precision` in place of their own where it is not empty, and without one where `only` names
/// another. A program that ships nothing by name has the precision that is given in all its parts: one deploy without a name.
std::vector<DeployProgram> deploysAt(const Program &, const std::string &precision, const std::string &only = "");

/// The weights that the deploys ship in fewer bits: of two dimensions and more, without what they keep, by tensor.
std::map<int, Kept> keptBy(const Program &, const std::vector<DeployProgram> &);

/// A weight that two deploys ship and keep in different ways.
struct Conflict {
  std::string weight;
  size_t first, second;               // of the deploys
  std::string firstKeeps, secondKeeps; // "f32", "int8"
};
std::optional<Conflict> conflictIn(const Program &, const std::vector<DeployProgram> &);

/// What the deploys ship, for people: "f32", "int8", "int8 calibrated on digits.valid", or with names where they differ: "int8 (writer), f32 (scorer)".
std::string precisionText(const std::vector<DeployProgram> &);

} // namespace bigm
