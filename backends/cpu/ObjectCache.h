// Machine code that was made before, by what it was made from.
//
// A kernel's code follows from its nest, the target and the compiler, so their digest names it: a program compiled a second
// time, or another program with the same layer, generates nothing. Entries are kept the same way.
#pragma once
#include <optional>
#include <string>

namespace mlir::bigm::cpu {

class ObjectCache {
public:
  /// Keeps its files in `folder`, which is made when something is first kept. A folder that cannot be written or read is a
  /// cache that never has anything: no operation fails.
  explicit ObjectCache(std::string folder) : folder(std::move(folder)) {}

  /// What was kept under the key, when it is whole: a file whose bytes are not those of its digest is deleted.
  std::optional<std::string> find(const std::string &key) const;
  /// Keeps bytes under a key. Written beside its place and renamed, so that other processes see all of it or nothing.
  void add(const std::string &key, const std::string &bytes) const;
  /// Deletes what was not used for longest until the folder holds at most `bytes`; looks at most every few minutes.
  void prune(uint64_t bytes = defaultBytes) const;
  static constexpr uint64_t defaultBytes = uint64_t(512) << 20;

private:
  std::string pathOf(const std::string &key) const;
  std::string folder;
};

/// Hex digits of the SHA-256 digest.
std::string digestOf(const std::string &text);
/// Changes with every build of the compiler and of the LLVM that it is linked with: their build ids.
const std::string &compilerIdentity();

} // namespace mlir::bigm::cpu
