// What is known of a flow while its body is evaluated.
#pragma once
#include "Checker.h"

namespace bigm::sema {

struct Checker::FlowBuild {
  std::string name;
  Dim batch;                           // records in a batch: the first dimension of every tensor
  std::vector<FlowStep> steps;         // the host's, in the order of the program
  std::map<Value, std::string> slots;  // tensors that stand in a slot
  std::map<Value, Value> lengths;      // of ids: how many in each row are no padding
  std::map<Value, std::string> tokenizers; // of ids: what made them
  std::set<std::string> names;         // of slots
  std::set<std::string> sizes;         // names of sizes that steps give
  size_t depth = 0;                    // flows inside flows

  std::string freshSlot(const std::string &base);
  std::string freshSize(const std::string &base);
  /// Cuts the finished function at the host's steps: what needs the results of other steps goes into a function of its
  /// own. Gives the steps, calls among them, in an order in which all can be done; the functions join the program.
  std::vector<FlowStep> cut(const Function &whole, Program &program) const;
};

} // namespace bigm::sema
