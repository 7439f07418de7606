#include "Safetensors.h"
#include "Elem.h"
#include "Failure.h"
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

namespace bigm::rt {

static constexpr uint64_t kMaxHeader = 100'000'000; // the limit of the format's own library

namespace {
struct DtypeSize {
  const char *name;
  uint64_t size;
};
// Types of the format that we can skip over but not compute with.
constexpr DtypeSize others[] = {{"I16", 2}, {"U16", 2}, {"U32", 4}, {"U64", 8}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"C64", 8}};

/// Takes the header apart as it is read: no tree is built, so that a hostile header costs no more than its length.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
public:
  struct Raw {
    SafetensorsEntry entry;
    std::vector<uint64_t> offsets;
    bool hasDtype = false, hasShape = false, hasOffsets = false;
  };
  std::vector<Raw> tensors;
  SafetensorsMetadata metadata;
  std::string problem;

  bool start_object(size_t) override {
    ++depth;
    if (depth == 1)
      return true;
    if (depth != 2 || inList)
      return fail("an object stands where none is expected");
    if (!inMetadata) {
      tensors.emplace_back();
      tensors.back().entry.name = name;
    }
    return true;
  }
  bool end_object() override {
    --depth;
    if (depth == 1 && !inMetadata) {
      const Raw &raw = tensors.back();
      if (!raw.hasDtype || !raw.hasShape || !raw.hasOffsets)
        return fail("`" + raw.entry.name + "` lacks dtype, shape or data_offsets");
    }
    if (depth == 1)
      inMetadata = false;
    return true;
  }
  bool key(string_t &value) override {
    if (depth == 1) {
      name = value;
      inMetadata = name == "__metadata__";
      return true;
    }
    field = value;
    if (inMetadata)
      return true;
    Raw &raw = tensors.back();
    bool *seen = field == "dtype" ? &raw.hasDtype : field == "shape" ? &raw.hasShape : field == "data_offsets" ? &raw.hasOffsets : nullptr;
    if (!seen)
      return fail("`" + name + "` has the unknown field `" + field + "`");
    if (*seen)
      return fail("`" + name + "` has `" + field + "` twice");
    return *seen = true;
  }
  bool start_array(size_t) override {
    if (depth != 2 || inMetadata || inList || (field != "shape" && field != "data_offsets"))
      return fail("a list stands where none is expected");
    return inList = true;
  }
  bool end_array() override {
    inList = false;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!inList)
      return fail("a number stands where none is expected");
    if (value > uint64_t(INT64_MAX))
      return fail("`" + name + "` has a size beyond all bounds");
    if (field == "shape")
      tensors.back().entry.shape.push_back(int64_t(value));
    else
      tensors.back().offsets.push_back(value);
    return true;
  }
  bool string(string_t &value) override {
    if (depth != 2 || inList || (!inMetadata && field != "dtype"))
      return fail("a text stands where none is expected");
    if (inMetadata)
      metadata[field] = value;
    else
      tensors.back().entry.dtypeName = value;
    return true;
  }
  bool number_integer(number_integer_t) override { return fail("a number is negative"); }
  bool number_float(number_float_t, const string_t &) override { return fail("a number is not whole"); }
  bool null() override { return fail("null stands where it is not expected"); }
  bool boolean(bool) override { return fail("a truth value stands where none is expected"); }
  bool binary(binary_t &) override { return fail("binary data in the header"); }
  bool parse_error(size_t at, const std::string &, const nlohmann::detail::exception &) override {
    return fail("the header is no JSON, at its byte " + std::to_string(at));
  }

private:
  int depth = 0;
  bool inMetadata = false, inList = false;
  std::string name, field;

  bool fail(std::string text) {
    if (problem.empty())
      problem = std::move(text);
    return false;
  }
};
} // namespace

std::vector<SafetensorsEntry> parseSafetensors(const uint8_t *data, size_t size, const std::string &name, SafetensorsMetadata *metadata) {
  auto fail = [&](const std::string &why) { throw Failure(BIGM_ERROR_FORMAT, name + " is no safetensors file: " + why); };
  if (size < 8)
    fail("it has " + std::to_string(size) + " bytes, and the first 8 give the length of the header");
  uint64_t header = 0;
  for (int i = 7; i >= 0; --i)
    header = header << 8 | data[i];
  if (header > kMaxHeader || header > size - 8)
    fail("its header would have " + std::to_string(header) + " bytes, and the file has " + std::to_string(size) +
         (header <= kMaxHeader ? "; it is truncated" : ""));
  if (header == 0 || data[8] != '{')
    fail("its header does not begin with {");
  HeaderReader reader;
  const char *begin = reinterpret_cast<const char *>(data) + 8;
  if (!nlohmann::json::sax_parse(begin, begin + header, &reader) || !reader.problem.empty())
    fail(reader.problem.empty() ? "the header is no JSON" : reader.problem);

  if (metadata)
    *metadata = std::move(reader.metadata);
  uint64_t available = size - 8 - header;
  auto &raws = reader.tensors;
  std::sort(raws.begin(), raws.end(), [](auto &a, auto &b) { return a.entry.name < b.entry.name; });
  for (size_t i = 0; i < raws.size(); ++i) {
    HeaderReader::Raw &raw = raws[i];
    SafetensorsEntry &entry = raw.entry;
    std::string quoted = "`" + entry.name + "`";
    if (i && raws[i - 1].entry.name == entry.name)
      fail(quoted + " stands there twice");
    entry.dtype = elemOfSafetensors(entry.dtypeName).value_or(-1);
    uint64_t bytes = 0;
    if (entry.dtype >= 0)
      bytes = elemInfo(entry.dtype)->size;
    for (const DtypeSize &other : others)
      if (entry.dtypeName == other.name)
        bytes = other.size;
    if (bytes == 0)
      fail(quoted + " has the unknown dtype `" + entry.dtypeName + "`");
    for (int64_t dim : entry.shape)
      if (__builtin_mul_overflow(bytes, uint64_t(dim), &bytes))
        fail(quoted + " has a size beyond all bounds");
    if (raw.offsets.size() != 2 || raw.offsets[0] > raw.offsets[1])
      fail(quoted + " has data_offsets that are no range");
    if (raw.offsets[1] > available)
      fail(quoted + " ends at byte " + std::to_string(raw.offsets[1]) + " of the data, which has " +
           std::to_string(available) + "; it is truncated");
    if (raw.offsets[1] - raw.offsets[0] != bytes)
      fail(quoted + " has " + std::to_string(raw.offsets[1] - raw.offsets[0]) + " bytes, and its shape needs " +
           std::to_string(bytes));
    entry.bytes = bytes;
    entry.data = data + 8 + header + raw.offsets[0];
  }
  // In order of place, each tensor begins where the one before ends, and the last one ends the file.
  std::vector<const HeaderReader::Raw *> order;
  for (const auto &raw : raws)
    order.push_back(&raw);
  std::sort(order.begin(), order.end(), [](auto *a, auto *b) { return a->offsets < b->offsets; });
  uint64_t at = 0;
  for (const HeaderReader::Raw *raw : order) {
    if (raw->offsets[0] != at)
      fail("`" + raw->entry.name + "` " + (raw->offsets[0] < at ? "overlaps another tensor" : "has a hole before it"));
    at = raw->offsets[1];
  }
  if (at != available)
    fail(std::to_string(available - at) + " bytes after the last tensor belong to none");

  std::vector<SafetensorsEntry> entries;
  entries.reserve(raws.size());
  for (auto &raw : raws)
    entries.push_back(std::move(raw.entry));
  return entries;
}

const SafetensorsEntry *SafetensorsFile::find(std::string_view name) const {
  auto at = std::lower_bound(list.begin(), list.end(), name, [](auto &entry, std::string_view n) { return entry.name < n; });
  return at != list.end() && at->name == name ? &*at : nullptr;
}

void writeSafetensors(const std::string &path, std::vector<SafetensorsEntry> entries, const SafetensorsMetadata &metadata) {
  std::sort(entries.begin(), entries.end(), [](auto &a, auto &b) { return a.name < b.name; });
  std::string header = "{";
  if (!metadata.empty())
    header += "\"__metadata__\":" + nlohmann::json(metadata).dump();
  uint64_t offset = 0;
  for (const SafetensorsEntry &entry : entries) {
    header += (header.size() > 1 ? "," : "") + nlohmann::json(entry.name).dump() + ":{\"dtype\":\"" +
              elemInfo(entry.dtype)->safetensors + "\",\"shape\":[";
    for (size_t i = 0; i < entry.shape.size(); ++i)
      header += (i ? "," : "") + std::to_string(entry.shape[i]);
    header += "],\"data_offsets\":[" + std::to_string(offset) + ",";
    offset += entry.bytes;
    header += std::to_string(offset) + "]}";
  }
  header += "}";
  header.resize((header.size() + 8 + 63) / 64 * 64 - 8, ' ');
  char length[8];
  for (int i = 0; i < 8; ++i)
    length[i] = char(uint64_t(header.size()) >> (8 * i));
  std::vector<std::string_view> pieces = {{length, 8}, header};
  for (const SafetensorsEntry &entry : entries)
    pieces.emplace_back(reinterpret_cast<const char *>(entry.data), entry.bytes);
  writeFile(path, pieces);
}

} // namespace bigm::rt
