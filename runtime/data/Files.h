// Reading files that may lie: plain or gzip, with no allocation larger than what the file really holds.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bigm::data {

/// A stream over a plain or a gzip file, told apart by the first two bytes. Every method throws Error naming the file.
class InputFile {
public:
  explicit InputFile(const std::string &path);
  ~InputFile();
  InputFile(InputFile &&) noexcept;

  /// Reads up to `size` bytes; fewer only at the end of the file.
  size_t read(void *to, size_t size);
  /// Reads exactly `size` bytes into a buffer that grows as bytes arrive, so that a header that promises more than
  /// there is costs no memory. `what` completes "expected ...".
  std::vector<uint8_t> readExactly(uint64_t size, const std::string &what);
  /// All that is left, at most `limit` bytes.
  std::vector<uint8_t> readAll(uint64_t limit);
  const std::string &path() const;

private:
  struct State;
  std::unique_ptr<State> state;
};

/// The whole file as text, gzip undone and without a mark of UTF-8 at its beginning. Throws Error for UTF-16.
std::string readText(const std::string &path, uint64_t limit = uint64_t(4) << 30);
/// The lines of a text, without their ends (\n or \r\n).
std::vector<std::string_view> linesOf(std::string_view text);
/// `name` under `folder`, unless it is absolute or `folder` is empty.
std::string under(const std::string &folder, const std::string &name);
/// Writes a file that is either the old one or the new one, whole, after any crash: a temporary beside it, flushed to
/// the disk, then renamed. Throws Error naming the file and the system's reason (no space, no permission).
void writeAtomically(const std::string &path, const void *bytes, size_t size);

} // namespace bigm::data
