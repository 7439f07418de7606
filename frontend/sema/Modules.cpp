// Files, `use`, and the declarations that a name can mean: those of the file first, then those of what it uses.
#include "Checker.h"
#include "frontend/parse/Parse.h"
#include "LibraryReader.h"
#include <fstream>
#include <sstream>

namespace bigm::sema {

static std::string folderOf(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

static void listDecls(Checker &c, Module &m) {
  for (auto &d : m.tree.decls) {
    auto *deploy = ast::as<ast::DeployDecl>(d.get());
    if (d->name.text.empty() || d->kind == ast::Decl::Kind::Evaluate || (deploy && !deploy->model))
      continue;
    auto [at, added] = m.decls.emplace(d->name.text, d.get());
    if (!added) {
      Diagnostic &e = c.error(Diag::DeclaredTwice, d->name.range, {d->name.text});
      Checker::note(e, at->second->name.range, "first declared here");
    }
  }
}

Module *Checker::load(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  if (in && in.peek() != std::ifstream::traits_type::eof())
    text << in.rdbuf();
  if (!in.is_open() || in.bad() || !text) { // a folder opens, and reading it is bad
    error(Diag::CannotReadFile, {}, {path});
    return nullptr;
  }
  auto m = std::make_unique<Module>();
  uint32_t file = sources.add(path, text.str());
  auto tree = parseFile(sources, file, diags);
  if (!tree)
    return nullptr;
  m->tree = std::move(*tree);
  Module *result = m.get();
  modules[""] = std::move(m);
  listDecls(*this, *result);
  addUses(*result, folderOf(path));
  LibraryReader library(libraryTexts);
  for (uint32_t i = 0; i < sources.size(); ++i)
    library.need(sources.text(i));
  for (auto &[name, text] : libraryTexts) {
    Module &m = *modules.at(name);
    if (auto tree = parseFile(sources, sources.add(name, library.wanted(name)), diags))
      m.tree = std::move(*tree);
    m.names = library.names(name);
    listDecls(*this, m);
  }
  return result;
}

Module *Checker::loadModule(const std::string &name, SourceRange where, const std::string &folder) {
  auto known = modules.find(name);
  if (known != modules.end())
    return known->second.get();
  std::string text, shown = name;
  bool library = name.compare(0, 4, "std.") == 0;
  if (library) {
    const std::string *source = libraryModule(name);
    if (!source) {
      std::string near = didYouMean(name, libraryModules()), all;
      for (auto &module : libraryModules())
        all += (all.empty() ? "`" : ", `") + module + "`";
      fail(Diag::UnknownModule, where, {name}, near.empty() ? "the library has " + all : "did you mean `" + near + "`?");
      return nullptr;
    }
    text = *source;
    // Parsed once it is known which of its declarations are wanted; what it uses stands on its `use` lines.
    auto m = std::make_unique<Module>();
    m->name = name;
    m->library = true;
    Module *result = m.get();
    modules[name] = std::move(m);
    libraryTexts[name] = text;
    for (const std::string &used : LibraryReader::uses(text))
      if (Module *u = loadModule(used, where, folder))
        result->uses.push_back(u);
    return result;
  } else {
    shown = name;
    for (char &c : shown)
      if (c == '.')
        c = '/';
    shown = folder + shown + ".bigm";
    std::ifstream in(shown, std::ios::binary);
    std::stringstream buffer;
    if (in)
      buffer << in.rdbuf();
    if (!in) {
      fail(Diag::UnknownModule, where, {name}, "expected it in the file " + shown);
      return nullptr;
    }
    text = buffer.str();
  }
  auto m = std::make_unique<Module>();
  m->name = name;
  Module *result = m.get();
  modules[name] = std::move(m);
  uint32_t file = sources.add(shown, std::move(text));
  auto tree = parseFile(sources, file, diags);
  if (!tree) {
    result->incomplete = true; // its errors are told; its names are unknown
    return result;
  }
  result->tree = std::move(*tree);
  listDecls(*this, *result);
  addUses(*result, folder);
  return result;
}

void Checker::addUses(Module &m, const std::string &folder) {
  for (auto &d : m.tree.decls)
    if (auto *use = ast::as<ast::UseDecl>(d.get()))
      for (auto &name : use->modules) {
        Module *used = loadModule(name.text, name.range, folder);
        if (used)
          m.uses.push_back(used);
        m.incomplete |= !used || used->incomplete;
      }
}

Checker::Found Checker::findDecl(const std::string &name, Module *from) {
  auto own = from->decls.find(name);
  if (own != from->decls.end())
    return {own->second, from};
  for (Module *used : from->uses) {
    auto found = used->decls.find(name);
    if (found != used->decls.end())
      return {found->second, used};
  }
  return {};
}

std::vector<std::string> Checker::visibleNames(const ScopePtr &scope) const {
  std::vector<std::string> names = builtinNames();
  for (const Scope *s = scope.get(); s; s = s->parent.get())
    for (auto &[name, binding] : s->names)
      names.push_back(name);
  auto add = [&](const Module &m) {
    for (auto &[name, d] : m.decls)
      names.push_back(name);
    names.insert(names.end(), m.names.begin(), m.names.end());
  };
  add(*scope->module);
  for (Module *used : scope->module->uses)
    add(*used);
  return names;
}

ScopePtr Checker::globalScope(Module *m) {
  ScopePtr &s = globals[m];
  if (!s) {
    s = std::make_shared<Scope>();
    s->module = m;
  }
  return s;
}

} // namespace bigm::sema
