// Files that appear whole or not at all, and files read as memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bigm::rt {

/// Writes the pieces one after the other to a temporary file beside `path`, syncs it, and renames it to `path`. On
/// failure throws Failure (BIGM_ERROR_IO) that names the file and the reason; then nothing is left behind and an
/// older `path` is untouched.
void writeFile(const std::string &path, const std::vector<std::string_view> &pieces);

/// A regular file mapped read-only.
class MappedFile {
public:
  /// Throws Failure: BIGM_ERROR_NOT_FOUND when there is no such file, else BIGM_ERROR_IO.
  explicit MappedFile(const std::string &path);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;
  const uint8_t *data() const { return begin; }
  size_t size() const { return length; }

private:
  const uint8_t *begin = nullptr;
  size_t length = 0;
};

} // namespace bigm::rt
