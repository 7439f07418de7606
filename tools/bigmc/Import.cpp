// `bigmc import`: an ONNX file as a program of the language and its weights beside it.
#include "Bug.h"
#include "Commands.h"
#include "frontend/Diagnostics.h"
#include "frontend/Format.h"
#include "frontend/import/Import.h"
#include "frontend/parse/Parse.h"
#include "runtime/core/Failure.h"
#include "runtime/core/File.h"
#include "runtime/core/Safetensors.h"
#include "runtime/include/bigm/bigm.h"
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <sstream>

namespace fs = std::filesystem;

namespace bigm::tool {
namespace {
/// The file's stem as a word of the language.
std::string wordOf(const std::string &stem) {
  std::string out;
  for (char c : stem)
    out += isalnum((unsigned char)c) ? char(tolower(c)) : '_';
  return out.empty() || isdigit((unsigned char)out[0]) ? "net_" + out : out;
}
int32_t dtypeOf(Elem elem) {
  switch (elem) {
  case Elem::F32: return BIGM_F32;
  case Elem::F64: return BIGM_F64;
  case Elem::BF16: return BIGM_BF16;
  case Elem::F16: return BIGM_F16;
  case Elem::I64: return BIGM_I64;
  case Elem::I32: return BIGM_I32;
  case Elem::U8: return BIGM_U8;
  case Elem::I8: return BIGM_I8;
  case Elem::Bool: return BIGM_BOOL;
  }
  return -1;
}
} // namespace

int importModel(const ImportOptions &options) {
  std::string error;
  auto model = onnx::read(options.file, error);
  if (!model)
    return userError("`" + options.file + "` " + error);
  fs::path out(options.out);
  if (out.extension() != ".bigm")
    return userError("`-o " + options.out + "`: a program's name ends in `.bigm`");
  fs::path weights = out;
  weights.replace_extension(".safetensors");
  std::string name = wordOf(out.stem().string());
  ImportedProgram program = importOnnx(*model, name, weights.filename().string(), fs::path(options.file).filename().string());
  if (!program.problems.empty()) {
    std::string all = "`" + options.file + "` cannot be written as a program; `model " + name + " from onnx(...)` may take it as it is:";
    for (const std::string &problem : program.problems)
      all += "\n  " + problem;
    return userError(all);
  }
  SourceManager sources;
  Diagnostics diags(sources);
  auto file = parseFile(sources, sources.add(options.out, program.text), diags);
  if (!file || diags.hasErrors()) {
    std::ostringstream why;
    diags.print(why, false);
    addToReproducer(options.out, program.text);
    return bug("what was written is no program: " + why.str());
  }
  std::vector<rt::SafetensorsEntry> entries;
  for (const ImportedTensor &t : program.tensors) {
    rt::SafetensorsEntry &e = entries.emplace_back();
    e.name = t.name;
    e.dtype = dtypeOf(t.elem);
    e.shape = t.shape;
    e.data = reinterpret_cast<const uint8_t *>(t.bytes.data());
    e.bytes = t.bytes.size();
  }
  std::string text = format(*file, sources);
  try {
    rt::writeSafetensors(weights.string(), entries);
    rt::writeFile(out.string(), {text});
  } catch (const rt::Failure &e) {
    return userError(e.what());
  }
  std::cout << options.out << ": `" << name << "`, with " << entries.size() << " tensors in " << weights.string() << "\n";
  return Done;
}

} // namespace bigm::tool
