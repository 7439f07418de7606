// The artifact on disk: headers, libraries, CMake package, weights, manifest (docs/abi.md).
//
// Same inputs, same bytes. The folder is written beside its place and renamed, so that a failed build leaves nothing and
// an earlier artifact stays until the new one is whole.
#pragma once
#include <string>
#include <vector>

namespace bigm::artifact {

/// One object file.
struct Object {
  std::string name;  // ends in `.o`
  std::string bytes; // ELF
};

struct Inputs {
  std::string stem;        // a C identifier: names of files, functions and symbols
  std::string manifest;    // JSON
  std::vector<Object> objects; // the compiled module
  std::string weightsFile; // safetensors, copied
  std::vector<std::string> runtimes; // libbigm-runtime.a, and with flows libbigm-runtime-flow.a
  std::vector<std::pair<std::string, std::string>> files; // more for share/: name there, and what is in it
};
/// Writes the folder `directory`; on failure returns false with one sentence in `error`.
bool write(const Inputs &inputs, const std::string &directory, std::string &error);

/// STEM.h and STEM.hpp as text.
std::string cHeader(const std::string &stem, const std::string &manifest);
std::string cppHeader(const std::string &stem, const std::string &manifest);

/// Writes an archive of objects and of the members of other archives. Deterministic: no times, no owners. On failure returns false with one sentence in `error`.
bool writeArchive(const std::vector<Object> &objects, const std::vector<std::string> &archives, const std::string &out,
                  std::string &error);

/// Links object files (and archives, taken whole) to a shared library that exports what matches `exports`
/// (`bigm_*`, …) and nothing else. Needs lld's `ld.lld`.
/// `libraries`: of the system, linked where something needs them (`png16`).
bool linkShared(const std::vector<std::string> &files, const std::vector<std::string> &exports, const std::string &out,
                std::string &error, const std::vector<std::string> &libraries = {});

} // namespace bigm::artifact
