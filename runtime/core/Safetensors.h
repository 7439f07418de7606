// Reading and writing safetensors: a little-endian u64 with the length of a JSON header, the header
// `{"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {...}}`, then the tensors' bytes.
//
// A file may come from anywhere, so nothing in it is believed: every size is checked against the file before it is
// used, tensors must cover the data without holes or overlaps (as the format demands), and reading takes at most 64 times the
// header's length in memory, whatever sizes it claims (tests/runtime/fuzz holds it to that).
#pragma once
#include "File.h"
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bigm::rt {

struct SafetensorsEntry {
  std::string name;
  int32_t dtype = 0; // bigm_dtype, or -1 for one that the format has and we have not
  std::string dtypeName; // as in the file: "F32"
  std::vector<int64_t> shape;
  const uint8_t *data = nullptr; // into the buffer; may be unaligned
  uint64_t bytes = 0;
};

/// What a file says of itself: texts by name.
using SafetensorsMetadata = std::map<std::string, std::string>;

/// Parses a whole file in memory. `name` stands in messages. Entries are sorted by name and point into `data`. Throws
/// Failure (BIGM_ERROR_FORMAT).
std::vector<SafetensorsEntry> parseSafetensors(const uint8_t *data, size_t size, const std::string &name, SafetensorsMetadata *metadata = nullptr);

/// A file mapped into memory with its entries.
class SafetensorsFile {
public:
  explicit SafetensorsFile(const std::string &path)
      : file(path), list(parseSafetensors(file.data(), file.size(), path, &about)) {}
  const SafetensorsMetadata &metadata() const { return about; }
  const std::vector<SafetensorsEntry> &entries() const { return list; }
  /// Null when there is none.
  const SafetensorsEntry *find(std::string_view name) const;

private:
  MappedFile file;
  SafetensorsMetadata about;
  std::vector<SafetensorsEntry> list;
};

/// Writes entries (in any order; `dtypeName` is not read) to `path` as rt::writeFile does, sorted by name. The same
/// entries give the same bytes; the data begins at a multiple of 64.
void writeSafetensors(const std::string &path, std::vector<SafetensorsEntry> entries, const SafetensorsMetadata &metadata = {});

} // namespace bigm::rt
