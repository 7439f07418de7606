#include "PartPaths.h"
#include "Checker.h"

namespace bigm::sema {

void addPath(const std::string &name, std::set<std::string> &out) {
  for (size_t dot = name.find('.'); dot != name.npos; dot = name.find('.', dot + 1))
    out.insert(name.substr(0, dot));
  out.insert(name);
}

std::string partsHint(const std::string &path, const std::set<std::string> &known) {
  std::string near = didYouMean(path, {known.begin(), known.end()});
  if (!near.empty())
    return "did you mean `" + near + "`?";
  std::string above = path, parts;
  do {
    size_t dot = above.rfind('.');
    above = dot == above.npos ? "" : above.substr(0, dot);
  } while (!above.empty() && !known.count(above));
  const std::string prefix = above.empty() ? "" : above + ".";
  for (auto &name : known)
    if (name.compare(0, prefix.size(), prefix) == 0 && name.find('.', prefix.size()) == name.npos)
      parts += (parts.empty() ? "`" : ", `") + name + "`";
  return "its parts are " + parts;
}

std::string partPath(const ast::Expr &e, std::string path, const std::string &root) {
  if (auto *quoted = ast::as<ast::StringExpr>(&e))
    path = quoted->value;
  return path.compare(0, root.size() + 1, root + ".") == 0 ? path.substr(root.size() + 1) : path;
}

} // namespace bigm::sema
