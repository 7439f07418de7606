// Flows that a training measures after each epoch: those that `validate` names, and those by whose metrics a phase stops.
#include "Training.h"
#include <algorithm>

namespace bigm::sema {

void Checker::checkValidations() {
  for (auto &v : validations) {
    if (!v.training->ok)
      continue; // it has an error of its own
    TrainProgram &train = program->trains[v.training->index];
    auto splitOf = [&](const std::string &data) {
      bool valid = false;
      for (auto &d : program->data)
        if (d.name == data) {
          valid |= !d.valid.name.empty();
          for (auto &[name, share] : d.split)
            valid |= name == "valid";
        }
      return valid;
    };
    std::vector<std::string> sets;
    for (auto *set : v.training->sets)
      sets.push_back(program->data[set->index].name);
    auto found = std::find_if(program->evaluates.begin(), program->evaluates.end(), [&](const EvaluateProgram &e) {
      return e.flow == v.flow && std::find(sets.begin(), sets.end(), e.data) != sets.end();
    });
    if (found == program->evaluates.end()) {
      Found f = findDecl(v.flow, v.training->module);
      bool flow = f.decl && f.decl->kind == ast::Decl::Kind::Flow;
      bool evaluated = false;
      for (auto &d : mainModule()->tree.decls)
        if (auto *e = ast::as<ast::EvaluateDecl>(d.get()))
          for (auto &subject : e->subjects)
            evaluated |= source(subject->range) == v.flow;
      if (!flow || !evaluated || !diags.hasErrors()) // else its `evaluate` has an error of its own
        fail(Diag::ValidateUnknown, v.where, {v.flow, v.training->name},
             flow ? "write `evaluate " + v.flow + " on " + sets[0] + ".valid { report ... }`" : "`validate` names flows; what `evaluate " + v.training->name + "` reports is measured anyway");
      continue;
    }
    if (!splitOf(found->data)) {
      fail(Diag::NoValidSplit, v.where, {found->data}, "for example `split { train: 90%, valid: 10% }`");
      continue;
    }
    std::vector<std::string> names;
    for (auto &metric : found->metrics)
      names.push_back(metric.name);
    if (!v.metric.empty() && std::find(names.begin(), names.end(), v.metric) == names.end()) {
      std::string near = didYouMean(v.metric, names);
      fail(Diag::StopMetricUnknown, v.where, {v.flow + "." + v.metric, v.training->name},
           near.empty() ? "report it in `evaluate " + v.flow + "`" : "did you mean `" + v.flow + "." + near + "`?");
      continue;
    }
    for (PhaseProgram &phase : train.phases)
      if (phase.name == v.phase && std::find(phase.validates.begin(), phase.validates.end(), found->name) == phase.validates.end())
        phase.validates.push_back(found->name);
  }
}

} // namespace bigm::sema
