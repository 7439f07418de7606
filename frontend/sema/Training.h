// What is known of one `train` while its functions are built.
#pragma once
#include "Checker.h"
#include <set>

namespace bigm::sema {

struct Checker::Training {
  const ast::TrainDecl *decl = nullptr;
  Module *module = nullptr;
  std::string name;
  std::shared_ptr<Instance> instance; // null: it trains instances that stand on their own
  Module *modelModule = nullptr;
  DataSet *data = nullptr;            // the first of them
  std::vector<DataSet *> sets;        // all that it reads
  size_t index = 0; // in Program::trains
  bool ok = false;  // the loss could be evaluated
  std::vector<TensorType> inputs; // of the model, as the loss gives them
  std::vector<std::string> heads; // label fields that the loss pairs with logits
  std::set<int> sharedSlots;      // the optimiser's, of instances that belong to no training
  std::set<int> settled;          // states that a phase so far updates or estimates
};

} // namespace bigm::sema
