#include "Module.h"
#include "Cpu.h"
#include "Failure.h"
#include <dlfcn.h>

namespace bigm::rt {

Module::~Module() {
  if (library)
    dlclose(library);
}

void Module::take(std::string_view text, const bigm_entry *all, const char *level) {
  Cpu cpu = Cpu::chosen(level);
  manifest = Manifest::parse(text, [&](const std::string &program, const std::vector<Variant> &variants) {
    return cpu.pick(program, variants);
  });
  entries = all + manifest.firstEntry;
}

std::shared_ptr<const Module> Module::make(std::string_view manifest, const bigm_entry *entries, const char *cpu) {
  auto module = std::make_shared<Module>();
  module->take(manifest, entries, cpu);
  return module;
}

/// `dir/libface.so` -> `face`
static std::string stemOf(const std::string &path) {
  std::string name = path.substr(path.rfind('/') + 1);
  if (name.rfind("lib", 0) == 0)
    name.erase(0, 3);
  return name.substr(0, name.find('.'));
}

std::shared_ptr<const Module> Module::open(const std::string &path, std::string stem, const char *cpu) {
  auto module = std::make_shared<Module>();
  // A name without a slash would be looked for in the system's folders.
  std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  module->library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!module->library) {
    const char *why = dlerror();
    throw Failure(BIGM_ERROR_FORMAT, "cannot open the library " + path + ": " + (why ? why : "no reason given"));
  }
  if (stem.empty())
    stem = stemOf(path);
  auto find = [&](const char *suffix) {
    void *address = dlsym(module->library, (stem + suffix).c_str());
    if (!address)
      throw Failure(BIGM_ERROR_FORMAT, path + " holds no program of the name `" + stem + "`: it lacks " + stem + suffix);
    return address;
  };
  auto text = static_cast<const char *>(find("_bigm_manifest"));
  uint64_t size = *static_cast<const uint64_t *>(find("_bigm_manifest_size"));
  module->take({text, size}, static_cast<const bigm_entry *>(find("_bigm_entries")), cpu);
  return module;
}

} // namespace bigm::rt
