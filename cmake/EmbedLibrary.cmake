# Writes OUTPUT, a C++ file with the text of all library modules in FOLDER, so that bigmc is one file that needs no
# folder beside it.
file(GLOB modules ${FOLDER}/*.bigm)
list(SORT modules)
set(text "// Made from stdlib/*.bigm by cmake/EmbedLibrary.cmake.\n#include \"frontend/Frontend.h\"\n#include <map>\n\nstatic const std::map<std::string, std::string> &modules() {\n  static const std::map<std::string, std::string> table = {\n")
foreach(module ${modules})
  get_filename_component(name ${module} NAME_WE)
  file(READ ${module} source)
  string(APPEND text "{\"std.${name}\", R\"__bigm__(")
  string(APPEND text "${source}")
  string(APPEND text ")__bigm__\"},\n")
endforeach()
string(APPEND text "  };\n  return table;\n}\n\nconst std::string *bigm::libraryModule(const std::string &name) {\n  auto found = modules().find(name);\n  return found == modules().end() ? nullptr : &found->second;\n}\n\nstd::vector<std::string> bigm::libraryModules() {\n  std::vector<std::string> names;\n  for (auto &[name, text] : modules())\n    names.push_back(name);\n  return names;\n}\n")
file(WRITE ${OUTPUT} "${text}")
