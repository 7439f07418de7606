#include "Module.h"
#include "Bug.h"
#include "Commands.h"
#include "Compiler.h"
#include "backends/artifact/Artifact.h"
#include "runtime/include/bigm/bigm.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

namespace bigm::tool {

OpenModule::~OpenModule() { bigm_module_destroy(module); }

std::vector<std::string> runtimeArchives(bool flows) {
  static int here;
  llvm::SmallString<256> lib(llvm::sys::fs::getMainExecutable("bigmc", &here));
  llvm::sys::path::remove_filename(lib);
  llvm::sys::path::append(lib, "..", "lib");
  std::vector<std::string> archives;
  for (const char *name : {"libbigm-runtime.a", "libbigm-runtime-flow.a"})
    if (flows || archives.empty())
      archives.push_back((lib + "/" + name).str());
  return archives;
}

std::unique_ptr<OpenModule> openCompiled(const Compiled &compiled, int &exitCode, const char *cpu) {
  llvm::SmallString<128> folder;
  if (llvm::sys::fs::createUniqueDirectory("bigmc", folder)) {
    exitCode = userError("cannot write to the temporary folder");
    return nullptr;
  }
  std::string objects = (folder + "/module.a").str(), library = (folder + "/lib" + compiled.stem + ".so").str(), error;
  artifact::writeArchive(compiled.objects, {}, objects, error);
  bigm_module *module = nullptr;
  // The runtime that the module calls is the one in this process.
  if (error.empty() && artifact::linkShared({objects}, {compiled.stem + "_bigm_*"}, library, error) &&
      bigm_module_open_for(library.c_str(), compiled.stem.c_str(), cpu, &module) != BIGM_OK)
    error = bigm_last_error();
  llvm::sys::fs::remove_directories(folder);
  if (error.empty())
    return std::make_unique<OpenModule>(module);
  exitCode = userError(error);
  return nullptr;
}

std::unique_ptr<OpenModule> openProgram(const std::string &file, const std::vector<std::string> &sets,
                                        const CodeOptions &code, int &exitCode) {
  auto checked = checkProgram(file, sets);
  if (!checked) {
    exitCode = UserError;
    return nullptr;
  }
  auto compiled = compile(*checked, code, exitCode);
  return compiled ? openCompiled(*compiled, exitCode) : nullptr;
}

} // namespace bigm::tool
