#include "backends/cpu/ObjectCache.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/CachePruning.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Support/raw_ostream.h"
#include <cstring>
#include <elf.h>
#include <link.h>

using namespace llvm;

namespace mlir::bigm::cpu {
namespace {
constexpr size_t digestBytes = 32;

std::string rawDigest(StringRef text) {
  auto digest = SHA256::hash(ArrayRef(reinterpret_cast<const uint8_t *>(text.data()), text.size()));
  return std::string(digest.begin(), digest.end());
}

/// The build id among the notes of a loaded object; its name and place where it has none.
int addIdentity(dl_phdr_info *info, size_t, void *out) {
  std::string &text = *static_cast<std::string *>(out);
  StringRef name(info->dlpi_name);
  if (!name.empty() && !name.contains("LLVM") && !name.contains("MLIR"))
    return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    if (info->dlpi_phdr[i].p_type != PT_NOTE)
      continue;
    auto *at = reinterpret_cast<const char *>(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    auto *end = at + info->dlpi_phdr[i].p_memsz;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      ElfW(Nhdr) note;
      std::memcpy(&note, at, sizeof note);
      const char *owner = at + sizeof note, *value = owner + (note.n_namesz + 3) / 4 * 4;
      if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(owner, "GNU", 4) == 0) {
        text += toHex(ArrayRef(reinterpret_cast<const uint8_t *>(value), note.n_descsz), /*LowerCase=*/true) + ";";
        return 0;
      }
      at = value + (note.n_descsz + 3) / 4 * 4;
    }
  }
  // Linked without an id: size and time of the file.
  sys::fs::file_status status;
  if (!sys::fs::status(name.empty() ? StringRef("/proc/self/exe") : name, status))
    text += name.str() + ":" + std::to_string(status.getSize()) + ":" +
            std::to_string(status.getLastModificationTime().time_since_epoch().count()) + ";";
  return 0;
}
} // namespace

std::string digestOf(const std::string &text) { return toHex(rawDigest(text), /*LowerCase=*/true); }

const std::string &compilerIdentity() {
  static const std::string identity = [] {
    std::string text = LLVM_VERSION_STRING ";";
    dl_iterate_phdr(addIdentity, &text);
    return text;
  }();
  return identity;
}

// pruneCache only touches files whose names begin so.
std::string ObjectCache::pathOf(const std::string &key) const { return folder + "/llvmcache-" + key; }

std::optional<std::string> ObjectCache::find(const std::string &key) const {
  std::string path = pathOf(key);
  auto buffer = MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false, /*IsVolatile=*/true);
  if (!buffer)
    return std::nullopt;
  StringRef all = (*buffer)->getBuffer();
  // The key stands in the digest too: a file under a wrong name is as bad as a damaged one.
  if (all.size() < digestBytes || rawDigest(key + all.drop_front(digestBytes).str()) != all.take_front(digestBytes)) {
    sys::fs::remove(path);
    return std::nullopt;
  }
  return all.drop_front(digestBytes).str();
}

void ObjectCache::add(const std::string &key, const std::string &bytes) const {
  if (sys::fs::create_directories(folder))
    return;
  std::string path = pathOf(key);
  auto temp = sys::fs::TempFile::create(folder + "/bigm-%%%%%%%%.tmp");
  if (!temp) {
    consumeError(temp.takeError());
    return;
  }
  bool written;
  {
    raw_fd_ostream out(temp->FD, /*shouldClose=*/false);
    out << rawDigest(key + bytes) << bytes;
    out.flush();
    written = !out.has_error();
    out.clear_error();
  }
  consumeError(written ? temp->keep(path) : temp->discard());
}

void ObjectCache::prune(uint64_t bytes) const {
  CachePruningPolicy policy;
  policy.Interval = std::chrono::seconds(bytes == defaultBytes ? 300 : 0);
  policy.Expiration = std::chrono::hours(24 * 30);
  policy.MaxSizeBytes = bytes;
  policy.MaxSizePercentageOfAvailableSpace = 10;
  pruneCache(folder, policy);
}

} // namespace mlir::bigm::cpu
