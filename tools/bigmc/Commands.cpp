// The commands that end before the compiler: check, fmt, emit.
#include "Commands.h"
#include "Compiler.h"
#include "Precision.h"
#include "frontend/Format.h"
#include "frontend/PrintAst.h"
#include "frontend/PrintGraph.h"
#include "frontend/parse/Parse.h"
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <unistd.h>

namespace bigm::tool {
namespace {
bool colour() { return ::isatty(2) && !std::getenv("NO_COLOR"); }

std::optional<std::string> readFile(const std::string &path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return std::nullopt;
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Writes beside the file and renames, so that an interrupted run leaves the old text.
bool replaceFile(const std::string &path, const std::string &text) {
  std::string temp = path + ".bigmc-tmp";
  {
    std::ofstream out(temp, std::ios::binary);
    out << text;
    if (!out.flush()) {
      std::remove(temp.c_str());
      return false;
    }
  }
  std::error_code failed;
  std::filesystem::permissions(temp, std::filesystem::status(path).permissions(), failed);
  std::filesystem::rename(temp, path, failed);
  return !failed;
}
/// The syntax tree, or null with the errors printed.
std::unique_ptr<ast::File> parseOrPrint(SourceManager &sources, const std::string &path, std::string text) {
  Diagnostics diags(sources);
  auto file = parseFile(sources, sources.add(path, std::move(text)), diags);
  if (!diags.hasErrors())
    return file;
  diags.print(std::cerr, colour());
  return nullptr;
}
} // namespace

int userError(const std::string &text) {
  std::cerr << "bigmc: error: " << text << "\n";
  return UserError;
}

int check(const ProgramOptions &options) { return checkProgram(options.file, options.sets, options.data) ? Done : UserError; }

int format(const FormatOptions &options) {
  int code = Done;
  for (const std::string &path : options.files) {
    auto text = readFile(path);
    if (!text) {
      code = userError("cannot read `" + path + "`");
      continue;
    }
    SourceManager sources;
    auto file = parseOrPrint(sources, path, *text);
    if (!file) {
      code = UserError;
      continue;
    }
    std::string formatted = bigm::format(*file, sources);
    if (formatted == *text)
      continue;
    if (options.check) {
      std::cerr << path << ": is not formatted; `bigmc fmt " << path << "` does it\n";
      code = UserError;
    } else if (!replaceFile(path, formatted)) {
      code = userError("cannot write `" + path + "`");
    }
  }
  return code;
}

int emit(const EmitOptions &options) {
  if (options.stage == "ast") {
    auto text = readFile(options.program.file);
    if (!text)
      return userError("cannot read `" + options.program.file + "`");
    SourceManager sources;
    auto file = parseOrPrint(sources, options.program.file, *text);
    if (!file)
      return UserError;
    printAst(std::cout, *file, &sources);
    return Done;
  }
  auto checked = checkProgram(options.program.file, options.program.sets, options.program.data);
  if (!checked)
    return UserError;
  if (!showPrecision(*checked, options.code))
    return UserError;
  if (options.stage == "types") {
    print(std::cout, checked->program, options.model);
    return Done;
  }
  int code = Done;
  auto text = textOf(*checked, options.stage, options.model, options.code, code);
  if (text)
    std::cout << *text;
  return code;
}

} // namespace bigm::tool
