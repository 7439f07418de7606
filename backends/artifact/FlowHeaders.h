// What STEM.hpp says of flows.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace bigm::artifact {
struct FlowText {
  std::string functions; // public: structs of results, and a function for one record and one for several
  std::string readers;   // private: from slots to those structs
};
/// Both are empty where the program has no flow.
FlowText flowText(const nlohmann::json &manifest);
} // namespace bigm::artifact
