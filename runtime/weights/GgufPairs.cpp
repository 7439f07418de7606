#include "GgufPairs.h"
#include "runtime/data/Error.h"
#include <cstring>

namespace bigm::weights {
namespace {

template <class T> T read(const uint8_t *at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

std::string_view textAt(const uint8_t *&at) {
  auto length = read<uint64_t>(at);
  std::string_view text(reinterpret_cast<const char *>(at) + 8, length);
  at += 8 + length;
  return text;
}

} // namespace

void GgufPairs::wrong(std::string_view key, const char *expected) const {
  data::fail("{}: `{}` is not what it is elsewhere; expected {}", file, key, expected);
}

const GgufPairs::Value *GgufPairs::find(std::string_view key, bool list) const {
  auto at = values.find(key);
  if (at == values.end())
    return nullptr;
  if (at->second.list != list)
    wrong(key, list ? "a list" : "one value, and no list");
  return &at->second;
}

std::optional<std::string_view> GgufPairs::text(std::string_view key) const {
  const Value *v = find(key, false);
  if (!v)
    return std::nullopt;
  if (v->type != GgufType::Text)
    wrong(key, "a text");
  const uint8_t *at = v->data;
  return textAt(at);
}

std::optional<int64_t> GgufPairs::whole(std::string_view key) const {
  const Value *v = find(key, false);
  if (!v)
    return std::nullopt;
  switch (v->type) {
  case GgufType::U8: return read<uint8_t>(v->data);
  case GgufType::I8: return read<int8_t>(v->data);
  case GgufType::U16: return read<uint16_t>(v->data);
  case GgufType::I16: return read<int16_t>(v->data);
  case GgufType::U32: return read<uint32_t>(v->data);
  case GgufType::I32: return read<int32_t>(v->data);
  case GgufType::I64: return read<int64_t>(v->data);
  case GgufType::U64:
    if (auto value = read<uint64_t>(v->data); value <= uint64_t(INT64_MAX))
      return int64_t(value);
    [[fallthrough]];
  default: wrong(key, "a whole number");
  }
}

std::optional<bool> GgufPairs::flag(std::string_view key) const {
  const Value *v = find(key, false);
  if (!v)
    return std::nullopt;
  if (v->type != GgufType::Bool)
    wrong(key, "true or false");
  return *v->data != 0;
}

std::vector<std::string_view> GgufPairs::texts(std::string_view key) const {
  const Value *v = find(key, true);
  std::vector<std::string_view> out;
  if (!v)
    return out;
  if (v->type != GgufType::Text)
    wrong(key, "a list of texts");
  out.reserve(v->count);
  const uint8_t *at = v->data;
  for (uint64_t i = 0; i < v->count; ++i)
    out.push_back(textAt(at));
  return out;
}

std::vector<int32_t> GgufPairs::wholes(std::string_view key) const {
  const Value *v = find(key, true);
  if (!v)
    return {};
  if (v->type != GgufType::I32 && v->type != GgufType::U32)
    wrong(key, "a list of whole numbers");
  std::vector<int32_t> out(v->count);
  std::memcpy(out.data(), v->data, v->count * sizeof(int32_t));
  return out;
}

std::vector<float> GgufPairs::numbers(std::string_view key) const {
  const Value *v = find(key, true);
  if (!v)
    return {};
  std::vector<float> out(v->count);
  if (v->type == GgufType::F32)
    std::memcpy(out.data(), v->data, v->count * sizeof(float));
  else if (v->type == GgufType::I32)
    for (uint64_t i = 0; i < v->count; ++i)
      out[i] = float(read<int32_t>(v->data + i * sizeof(int32_t)));
  else
    wrong(key, "a list of numbers");
  return out;
}

std::span<const uint8_t> GgufPairs::bytes(std::string_view key) const {
  const Value *v = find(key, true);
  if (!v)
    return {};
  if (v->type != GgufType::U8 && v->type != GgufType::I8)
    wrong(key, "a list of bytes");
  return {v->data, v->count};
}

} // namespace bigm::weights
