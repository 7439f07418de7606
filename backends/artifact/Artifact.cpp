#include "Artifact.h"
#include "Files.h"
#include "Signature.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"
#include <filesystem>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <set>

namespace fs = std::filesystem;

namespace bigm::artifact {
namespace {

// A sanitized build's runtime calls its sanitizer, which is in the program that loads the library.
#if defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

/// Whether a folder is empty or holds an artifact and nothing else, so that replacing it loses nothing.
bool isOurs(const fs::path &folder) {
  static const std::set<std::string> names = {"include", "lib", "share", "manifest.json"};
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed))
    if (!names.count(at->path().filename().string()))
      return false;
  // Folders without a file in them hold nothing to lose: CMake wants an include folder before the first build.
  bool files = false;
  for (fs::recursive_directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed))
    files |= !at->is_directory(failed);
  return !failed && (!files || fs::exists(folder / "manifest.json"));
}

/// The CMake package: STEM::STEM (shared) and STEM::static, found from wherever the folder lies.
/// What the runtime of flows links beside the core's: pictures, text, messages.
const std::vector<std::string> kFlowLibraries = {"png16", "jpeg", "z", "fmt", "pcre2-8", "utf8proc"};
std::vector<std::string> librariesOf(const std::string &manifest) {
  return nlohmann::json::parse(manifest).contains("flows") ? kFlowLibraries : std::vector<std::string>{};
}

std::string cmakeConfig(const std::string &stem, const std::vector<std::string> &libraries) {
  return fmt::format(R"(# find_package({0}) makes {0}::{0} (the shared library) and {0}::static, and {0}_WEIGHTS, the weights' file. The static
# library is there where what it is linked with is: the packages for development of oneTBB.
get_filename_component({0}_ROOT "${{CMAKE_CURRENT_LIST_DIR}}/../../.." ABSOLUTE)
set({0}_WEIGHTS "${{{0}_ROOT}}/share/{0}/weights.safetensors")
if(NOT TARGET {0}::{0})
  add_library({0}::{0} SHARED IMPORTED)
  set_target_properties({0}::{0} PROPERTIES
    IMPORTED_LOCATION "${{{0}_ROOT}}/lib/lib{0}.so"
    IMPORTED_SONAME lib{0}.so
    INTERFACE_INCLUDE_DIRECTORIES "${{{0}_ROOT}}/include"
    INTERFACE_COMPILE_FEATURES cxx_std_17)
  find_package(TBB QUIET)
  find_package(Threads QUIET)
  if(TARGET TBB::tbb AND TARGET Threads::Threads)
    add_library({0}::static STATIC IMPORTED)
    set_target_properties({0}::static PROPERTIES
      IMPORTED_LOCATION "${{{0}_ROOT}}/lib/lib{0}.a"
      IMPORTED_LINK_INTERFACE_LANGUAGES CXX
      INTERFACE_INCLUDE_DIRECTORIES "${{{0}_ROOT}}/include"
      INTERFACE_COMPILE_FEATURES cxx_std_17
      INTERFACE_LINK_LIBRARIES "TBB::tbb;Threads::Threads;${{CMAKE_DL_LIBS}}{1}")
    get_property({0}_LANGUAGES GLOBAL PROPERTY ENABLED_LANGUAGES)
    if(NOT CXX IN_LIST {0}_LANGUAGES) # a project in C alone does not link the C++ library by itself
      set_property(TARGET {0}::static APPEND PROPERTY INTERFACE_LINK_LIBRARIES stdc++ m)
    endif()
  endif()
endif()
)",
                     stem, libraries.empty() ? "" : fmt::format(";{}", fmt::join(libraries, ";")));
}
std::string pkgConfig(const std::string &stem, const std::vector<std::string> &libraries) {
  std::string more;
  for (const std::string &library : libraries)
    more += " -l" + library;
  return fmt::format(R"(# pkg-config --cflags --libs {0}; with --static also what lib{0}.a is linked with.
prefix=${{pcfiledir}}/../..
weights=${{prefix}}/share/{0}/weights.safetensors

Name: {0}
Description: {0}, a program of bigm
Version: 1
Cflags: -I${{prefix}}/include
Libs: -L${{prefix}}/lib -l{0}
Libs.private: -ltbb{1} -lstdc++ -lm -lpthread -ldl
)",
                     stem, more);
}
std::string cmakeVersion() {
  return R"(# The ABI's version decides; see docs/abi.md.
set(PACKAGE_VERSION "1")
if(NOT PACKAGE_FIND_VERSION OR PACKAGE_FIND_VERSION_MAJOR EQUAL 1)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
)";
}
} // namespace

bool writeArchive(const std::vector<Object> &objects, const std::vector<std::string> &archives, const std::string &out,
                  std::string &error) {
  using namespace llvm;
  std::vector<NewArchiveMember> members;
  // Members are read until the end.
  std::vector<std::pair<std::unique_ptr<MemoryBuffer>, std::unique_ptr<object::Archive>>> opened;
  for (const Object &object : objects)
    members.emplace_back(MemoryBufferRef(object.bytes, object.name));
  auto fail = [&](Error e) {
    error = fmt::format("cannot make `{}`: {}", out, toString(std::move(e)));
    return false;
  };
  for (const std::string &path : archives) {
    auto buffer = MemoryBuffer::getFile(path);
    if (!buffer) {
      error = fmt::format("cannot read the runtime `{}`: {}", path, buffer.getError().message());
      return false;
    }
    auto archive = object::Archive::create((*buffer)->getMemBufferRef());
    if (!archive)
      return fail(archive.takeError());
    opened.emplace_back(std::move(*buffer), std::move(*archive));
    Error iteration = Error::success();
    for (const object::Archive::Child &child : opened.back().second->children(iteration)) {
      auto member = NewArchiveMember::getOldMember(child, /*Deterministic=*/true);
      if (!member)
        return fail(member.takeError());
      members.push_back(std::move(*member));
    }
    if (iteration)
      return fail(std::move(iteration));
  }
  // Made in memory and written by us: LLVM ends the process where a disk is full.
  auto bytes = writeArchiveToBuffer(members, SymtabWritingMode::NormalSymtab, object::Archive::K_GNU,
                                    /*Deterministic=*/true, /*Thin=*/false);
  if (!bytes)
    return fail(bytes.takeError());
  return files::write(out, (*bytes)->getBuffer().str(), error);
}

bool linkShared(const std::vector<std::string> &files, const std::vector<std::string> &exports, const std::string &out,
                std::string &error, const std::vector<std::string> &libraries) {
  using namespace llvm;
  // The compiler drives the linker because it knows where the C++ library is.
  auto driver = sys::findProgramByName("clang++-22");
  if (!driver)
    driver = sys::findProgramByName("clang++");
  if (!driver)
    driver = sys::findProgramByName("g++");
  if (!driver) {
    error = "no linker: neither `clang++-22` nor `g++` is on the path";
    return false;
  }
  std::string script = "{ global:";
  for (const std::string &pattern : exports)
    script += " " + pattern + ";";
  script += " local: *; };\n";
  std::string scriptPath = out + ".exports", logPath = out + ".log";
  if (!files::write(scriptPath, script, error))
    return false;
  std::vector<std::string> text = {*driver, "-shared", "-o", out};
  if (sys::path::filename(*driver).starts_with("clang"))
    text.push_back("-fuse-ld=lld");
  for (const std::string &file : files) {
    bool archive = sys::path::extension(file) == ".a";
    if (archive)
      text.insert(text.end(), {"-Wl,--whole-archive", file, "-Wl,--no-whole-archive"});
    else
      text.push_back(file);
  }
  text.insert(text.end(), {"-Wl,--version-script=" + scriptPath, "-Wl,-Bsymbolic", "-Wl,--gc-sections", "-Wl,-s",
                           "-Wl,--build-id=none", "-Wl,-soname," + sys::path::filename(out).str()});
  if (files.size() > 1) { // with the runtime inside, nothing may be left open but the system's own libraries and TBB
    text.insert(text.end(), {"-Wl,--as-needed", "-ltbb", "-ldl", "-lpthread"});
    for (const std::string &library : libraries)
      text.push_back("-l" + library);
    if (!kSanitized)
      text.push_back("-Wl,-z,defs");
  }
  std::vector<StringRef> arguments(text.begin(), text.end());
  std::optional<StringRef> redirects[] = {StringRef(""), StringRef(logPath), StringRef(logPath)};
  std::string message;
  int code = sys::ExecuteAndWait(*driver, arguments, std::nullopt, redirects, 0, 0, &message);
  std::string log;
  if (auto buffer = MemoryBuffer::getFile(logPath))
    log = (*buffer)->getBuffer().trim().str();
  fs::remove(scriptPath);
  fs::remove(logPath);
  if (code == 0)
    return true;
  error = fmt::format("linking `{}` failed: {}", out, log.empty() ? message : log);
  return false;
}

bool write(const Inputs &in, const std::string &directory, std::string &error) {
  std::error_code failed;
  fs::path target = fs::absolute(directory, failed).lexically_normal();
  if (!target.has_filename())
    target = target.parent_path();
  if (fs::exists(target, failed) && !fs::is_directory(target, failed)) {
    error = fmt::format("`{}` is there already and is not a folder", directory);
    return false;
  }
  // Only what `build` itself wrote is replaced; anything else in the way is the user's.
  if (fs::exists(target, failed) && !isOurs(target)) {
    error = fmt::format("`{}` holds other files; name a new folder, or one that `bigmc build` made", directory);
    return false;
  }
  fs::create_directories(target.parent_path(), failed);
  fs::path temp = target;
  temp += fmt::format(".{}.tmp", llvm::sys::Process::getProcessId());
  fs::remove_all(temp, failed);
  llvm::scope_exit cleanUp([&] {
    std::error_code ignored;
    fs::remove_all(temp, ignored);
  });
  fs::path include = temp / "include", lib = temp / "lib", package = lib / "cmake" / in.stem,
           share = temp / "share" / in.stem;
  for (const fs::path &folder : {include / "bigm", package, lib / "pkgconfig", share}) {
    fs::create_directories(folder, failed);
    if (failed) {
      error = fmt::format("cannot write `{}`: {}", directory, failed.message());
      return false;
    }
  }

  std::string module = (temp / "module.a").string();
  bool written = files::write((include / (in.stem + ".h")).string(), cHeader(in.stem, in.manifest), error) &&
                 files::write((include / (in.stem + ".hpp")).string(), cppHeader(in.stem, in.manifest), error) &&
                 files::write((temp / "manifest.json").string(), nlohmann::ordered_json::parse(in.manifest).dump(1) + "\n", error) &&
                 files::write((package / (in.stem + "Config.cmake")).string(), cmakeConfig(in.stem, librariesOf(in.manifest)), error) &&
                 files::write((package / (in.stem + "ConfigVersion.cmake")).string(), cmakeVersion(), error) &&
                 files::write((lib / "pkgconfig" / (in.stem + ".pc")).string(), pkgConfig(in.stem, librariesOf(in.manifest)), error) &&
                 writeArchive(in.objects, {}, module, error) &&
                 files::copy(in.weightsFile, (share / "weights.safetensors").string(), error) &&
                 files::writeRuntimeHeaders((include / "bigm").string(), error);
  for (const auto &[name, content] : in.files)
    written = written && files::write((share / name).string(), content, error);
  if (!written)
    return false;
  if (!writeArchive(in.objects, in.runtimes, (lib / ("lib" + in.stem + ".a")).string(), error))
    return false;
  std::vector<std::string> parts = in.runtimes;
  parts.insert(parts.begin(), module);
  if (!linkShared(parts, {"bigm_*", in.stem + "_bigm_*"}, (lib / ("lib" + in.stem + ".so")).string(), error,
                  librariesOf(in.manifest)))
    return false;
  fs::remove(module, failed);

  // The old artifact steps aside only now.
  fs::path old = target;
  old += fmt::format(".{}.old", llvm::sys::Process::getProcessId());
  bool replaced = fs::exists(target, failed);
  if (replaced)
    fs::rename(target, old, failed);
  if (!failed) {
    fs::rename(temp, target, failed);
    std::error_code ignored;
    if (failed && replaced)
      fs::rename(old, target, ignored);
  }
  if (failed) {
    error = fmt::format("cannot write `{}`: {}", directory, failed.message());
    return false;
  }
  if (replaced)
    fs::remove_all(old, failed);
  return true;
}

} // namespace bigm::artifact
