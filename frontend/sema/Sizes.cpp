#include "Sizes.h"
#include <map>
#include <set>

namespace bigm {

void symbolsOf(const TensorType &type, std::vector<std::string> &names) {
  for (const Dim &d : type.shape)
    d.symbols(names);
}

std::vector<std::string> symbolsOf(const Function &function) {
  std::vector<std::string> names;
  for (const TensorType &t : function.types)
    symbolsOf(t, names);
  for (const Node &node : function.nodes)
    symbolsOf(node, names);
  return names;
}

std::vector<size_t> argumentsForSizes(const std::vector<std::string> &used, const std::vector<std::string> &told, size_t count,
                                      const std::function<const TensorType *(size_t)> &candidate) {
  std::map<std::string, size_t> tells; // the first candidate that has the name
  std::vector<std::vector<std::string>> own(count);
  for (size_t i = 0; i < count; ++i)
    if (const TensorType *type = candidate(i)) {
      symbolsOf(*type, own[i]);
      for (const std::string &name : own[i])
        tells.emplace(name, i);
    }
  std::set<std::string> known(told.begin(), told.end());
  std::vector<size_t> taken;
  for (const std::string &name : used)
    if (auto found = tells.find(name); found != tells.end() && !known.count(name)) {
      taken.push_back(found->second);
      known.insert(own[found->second].begin(), own[found->second].end());
    }
  return taken;
}

} // namespace bigm
