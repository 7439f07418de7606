// Checks a program given as text, for tests.
#pragma once
#include "frontend/Frontend.h"
#include "frontend/PrintGraph.h"
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <unistd.h>

namespace bigm::test {

struct Checked {
  SourceManager sources;
  Diagnostics diags{sources};
  std::optional<Program> program;

  explicit Checked(const std::string &text, const Overrides &overrides = {}) {
    auto folder = std::filesystem::temp_directory_path() / ("bigm-sema-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    auto file = folder / "program.bigm";
    std::ofstream(file) << text;
    program = check(sources, file.string(), diags, overrides);
    std::filesystem::remove_all(folder);
  }
  std::string errors() const {
    std::ostringstream out;
    diags.print(out, false);
    return out.str();
  }
  const Function &function(const std::string &name) const {
    for (auto &f : program->functions)
      if (f.name == name)
        return f;
    ADD_FAILURE() << "no function " << name;
    static Function none;
    return none;
  }
  std::string text(const std::string &name) const {
    std::ostringstream out;
    print(out, function(name));
    return out.str();
  }
  int count(const std::string &name, Op op) const {
    int n = 0;
    for (auto &node : function(name).nodes)
      n += node.op == op;
    return n;
  }
};

} // namespace bigm::test
