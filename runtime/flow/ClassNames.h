// Names of classes in the types of a flow, where the data gave them and a run keeps them.
//
// A template, for the compiler has flows before it writes a manifest (frontend/Graph.h), and a runtime has them behind it.
#pragma once
#include <string>
#include <vector>

namespace bigm::flow {

/// Gives classes that have no names yet those that `namesOf` knows for their field, `posts.intent`; none where it gives none.
template <class RichType, class NamesOf> void nameClasses(RichType &type, const NamesOf &namesOf) {
  if (type.labels.empty() && !type.classesOf.empty())
    type.labels = namesOf(type.classesOf);
  for (RichType &field : type.fields)
    nameClasses(field, namesOf);
}

/// The same in all that a flow takes and gives.
template <class Flow, class NamesOf> void nameClassesOf(Flow &flow, const NamesOf &namesOf) {
  nameClasses(flow.result, namesOf);
  for (auto &[name, type] : flow.inputs)
    nameClasses(type, namesOf);
}

} // namespace bigm::flow
