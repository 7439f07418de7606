// What is known of a flow while its body is evaluated.
#pragma once
#include "Checker.h"

namespace bigm::sema {

struct Checker::FlowBuild {
  std::string name;
  Dim batch;                           // records in a batch: the first dimension of every tensor
  std::vector<HostStep> steps;         // the host's, in the order of the program
  std::map<Value, std::string> slots;  // tensors that stand in a slot
  std::map<std::string, Value> values; // and the other way around
  std::set<std::string> names;         // of slots
  size_t depth = 0;                    // flows inside flows

  std::string freshSlot(const std::string &base);
  /// Cuts the finished function at the host's steps: what needs the results of other steps goes into a function of its
  /// own. Gives the steps, calls among them, in an order in which all can be done; the functions join the program.
  std::vector<HostStep> cut(const Function &whole, Program &program) const;
};

} // namespace bigm::sema
