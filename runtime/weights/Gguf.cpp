// GGUF: a header of counts, key-value pairs, one record for each tensor, then the aligned data (little-endian throughout).
//
//   "GGUF" u32 version, u64 tensors, u64 pairs
//   pair    string key, u32 type, value        string: u64 length, bytes; array: u32 type, u64 count, elements
//   tensor  string name, u32 rank, u64 sizes (the fastest first), u32 encoding, u64 offset from the data's begin
//   data    at the next multiple of `general.alignment` (32 unless said)
//
// Of the pairs the alignment and which part of a split file this is are read here; the others are left where they lie
// (GgufPairs.h). A count is believed only as far as the bytes behind it could hold so many.
#include "GgufPairs.h"
#include "Stored.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <cstring>
#include <limits>

namespace bigm::weights {
namespace {
using data::fail;

struct Kind {
  uint32_t number;
  const char *name;
  Encoding encoding;
  uint64_t elements, bytes; // of a block
};
constexpr Kind kinds[] = {
    {0, "F32", Encoding::F32, 1, 4},      {1, "F16", Encoding::F16, 1, 2},       {2, "Q4_0", Encoding::Q4_0, 32, 18},
    {3, "Q4_1", Encoding::Q4_1, 32, 20}, {6, "Q5_0", Encoding::Q5_0, 32, 22},  {7, "Q5_1", Encoding::Q5_1, 32, 24},
    {8, "Q8_0", Encoding::Q8_0, 32, 34},  {10, "Q2_K", Encoding::Q2_K, 256, 84}, {11, "Q3_K", Encoding::Q3_K, 256, 110},
    {12, "Q4_K", Encoding::Q4_K, 256, 144}, {13, "Q5_K", Encoding::Q5_K, 256, 176}, {14, "Q6_K", Encoding::Q6_K, 256, 210},
    {20, "IQ4_NL", Encoding::IQ4_NL, 32, 18}, {23, "IQ4_XS", Encoding::IQ4_XS, 256, 136}, {39, "MXFP4", Encoding::MXFP4, 32, 17}, {24, "I8", Encoding::I8, 1, 1},       {25, "I16", Encoding::Other, 1, 2},    {26, "I32", Encoding::I32, 1, 4},
    {27, "I64", Encoding::I64, 1, 8},     {28, "F64", Encoding::F64, 1, 8},      {30, "BF16", Encoding::BF16, 1, 2},
    // Not decoded: they may stand in a file, and what is wanted of them is refused by name.
    {16, "IQ2_XXS", Encoding::Other, 256, 66},
    {17, "IQ2_XS", Encoding::Other, 256, 74}, {18, "IQ3_XXS", Encoding::Other, 256, 98}, {19, "IQ1_S", Encoding::Other, 256, 50},
    {21, "IQ3_S", Encoding::Other, 256, 110}, {22, "IQ2_S", Encoding::Other, 256, 82}, {29, "IQ1_M", Encoding::Other, 256, 56},
    {34, "TQ1_0", Encoding::Other, 256, 54}, {35, "TQ2_0", Encoding::Other, 256, 66}, {40, "NVFP4", Encoding::Other, 64, 36}, {41, "Q1_0", Encoding::Other, 128, 18}};

class Reader {
public:
  Reader(const uint8_t *data, size_t size, const std::string &name) : data(data), size(size), name(name) {}

  /// How many tensors there are. What is not the alignment or a part's number goes to `kept`, if there is such.
  uint64_t header(GgufPart &part, GgufPairs *kept) {
    if (size < 24 || std::memcmp(data, "GGUF", 4) != 0)
      wrong("it does not begin with a header of GGUF");
    at = 4;
    auto version = number<uint32_t>();
    if (__builtin_bswap32(version) == 2 || __builtin_bswap32(version) == 3)
      wrong("it is written for big-endian machines, and little-endian files are read; gguf's `gguf_convert_endian.py` turns it around");
    if (version != 2 && version != 3)
      wrong(fmt::format("its version is {}, and versions 2 and 3 are read", version));
    auto tensors = number<uint64_t>(), pairs = number<uint64_t>();
    if (tensors > size / 24 || pairs > size / 12)
      wrong(fmt::format("it would hold {} tensors and {} pairs in {} bytes", tensors, pairs, size));
    for (uint64_t i = 0; i < pairs; ++i)
      pair(part, kept);
    if (part.number >= part.count)
      wrong(fmt::format("it says that it is part {} of {}, counted from 0", part.number, part.count));
    return tensors;
  }

  std::vector<StoredTensor> run(GgufPart &part) {
    uint64_t tensors = header(part, nullptr);
    struct Place {
      const Kind *kind;
      uint64_t offset;
    };
    std::vector<StoredTensor> list(tensors);
    std::vector<Place> places(tensors);
    for (uint64_t i = 0; i < tensors; ++i)
      record(list[i], places[i].kind, places[i].offset);
    uint64_t begin = (at + alignment - 1) / alignment * alignment;
    for (uint64_t i = 0; i < tensors; ++i) {
      StoredTensor &t = list[i];
      if (places[i].offset % alignment != 0)
        wrong(fmt::format("`{}` does not begin at a multiple of {}", t.name, alignment));
      if (begin > size || places[i].offset > size - begin || t.bytes > size - begin - places[i].offset)
        wrong(fmt::format("`{}` would end behind the end of the file; it is truncated", t.name));
      t.data = data + begin + places[i].offset;
    }
    return list;
  }

private:
  [[noreturn]] void wrong(const std::string &why) { fail("{} is no GGUF file: {}", name, why); }

  void need(uint64_t bytes) {
    if (bytes > size - at)
      wrong(fmt::format("it stops at its byte {} where {} more are needed; it is truncated", size, bytes - (size - at)));
  }
  template <class T> T number() {
    need(sizeof(T));
    T value;
    std::memcpy(&value, data + at, sizeof(T));
    at += sizeof(T);
    return value;
  }
  std::string_view text() {
    auto length = number<uint64_t>();
    need(length);
    std::string_view value(reinterpret_cast<const char *>(data) + at, length);
    at += length;
    return value;
  }
  /// Bytes of one value of a type; 0 for a text or a list.
  uint64_t width(uint32_t type) {
    constexpr uint64_t widths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type >= std::size(widths))
      wrong(fmt::format("a value has the unknown type {}", type));
    return widths[type];
  }
  /// Walks over a value, and says where it lies.
  GgufPairs::Value skip(uint32_t type, int depth) {
    GgufPairs::Value value{GgufType(type), false, 1, data + at};
    if (uint64_t bytes = width(type)) {
      need(bytes);
      at += bytes;
    } else if (type == 8) {
      text();
    } else {
      if (depth == 4)
        wrong("lists stand in lists more than four deep");
      auto inner = number<uint32_t>();
      auto count = number<uint64_t>();
      value = {GgufType(inner), true, count, data + at};
      if (uint64_t bytes = width(inner)) {
        if (count > (size - at) / bytes)
          wrong(fmt::format("a list would have {} elements; it is truncated", count));
        at += count * bytes;
      } else {
        for (uint64_t i = 0; i < count; ++i) // each takes eight bytes at least, so this ends with the file
          skip(inner, depth + 1);
      }
    }
    return value;
  }
  uint32_t whole(std::string_view key, uint32_t type, uint32_t expected) {
    if (type != expected)
      wrong(fmt::format("`{}` has the type {}, and it is of type {}", key, type, expected));
    return type == 2 ? number<uint16_t>() : number<uint32_t>();
  }
  void pair(GgufPart &part, GgufPairs *kept) {
    std::string_view key = text();
    auto type = number<uint32_t>();
    if (key == "split.no" || key == "split.count") {
      uint32_t value = whole(key, type, 2);
      if (key == "split.no")
        part.number = value;
      else
        part.count = std::max(value, 1u);
      return;
    }
    if (key == "general.alignment") {
      alignment = whole(key, type, 4);
      if (alignment == 0 || alignment % 8 != 0 || alignment > (1u << 20))
        wrong(fmt::format("its alignment is {}", alignment));
      return;
    }
    GgufPairs::Value value = skip(type, 0);
    if (kept)
      kept->add(key, value);
  }
  void record(StoredTensor &t, const Kind *&kind, uint64_t &offset) {
    t.name = std::string(text());
    auto rank = number<uint32_t>();
    if (rank > 8)
      wrong(fmt::format("`{}` has {} dimensions", t.name, rank));
    uint64_t count = 1;
    for (uint32_t d = 0; d < rank; ++d) {
      auto dim = number<uint64_t>();
      if (dim > uint64_t(std::numeric_limits<int64_t>::max()) || __builtin_mul_overflow(count, dim, &count) ||
          count > (uint64_t(1) << 56))
        wrong(fmt::format("`{}` has a size beyond all bounds", t.name));
      t.shape.insert(t.shape.begin(), int64_t(dim));
    }
    auto type = number<uint32_t>();
    kind = nullptr;
    for (const Kind &k : kinds)
      if (k.number == type)
        kind = &k;
    if (!kind)
      wrong(fmt::format("`{}` has the unknown encoding {}", t.name, type));
    if (count % kind->elements != 0 || (rank && uint64_t(t.shape.back()) % kind->elements != 0))
      wrong(fmt::format("`{}` is {} and its rows are no multiple of {}", t.name, kind->name, kind->elements));
    t.encoding = kind->encoding;
    t.encodingName = kind->name;
    t.bytes = count / kind->elements * kind->bytes;
    offset = number<uint64_t>();
  }

  const uint8_t *data;
  size_t size, at = 0;
  const std::string &name;
  uint64_t alignment = 32;
};
} // namespace

std::vector<StoredTensor> parseGguf(const uint8_t *data, size_t size, const std::string &name, GgufPart *part) {
  GgufPart own;
  return Reader(data, size, name).run(part ? *part : own);
}

GgufPairs parseGgufPairs(const uint8_t *data, size_t size, const std::string &name) {
  GgufPart part;
  GgufPairs pairs(name);
  Reader(data, size, name).header(part, &pairs);
  return pairs;
}

} // namespace bigm::weights
