#include "Elem.h"
#include <iterator>

namespace bigm::rt {

static constexpr ElemInfo table[] = {
    {"f32", "F32", 4}, {"f64", "F64", 8}, {"bf16", "BF16", 2}, {"f16", "F16", 2},  {"i64", "I64", 8},
    {"i32", "I32", 4}, {"u8", "U8", 1},   {"i8", "I8", 1},     {"bool", "BOOL", 1}};
static_assert(std::size(table) == BIGM_BOOL + 1);

const ElemInfo *elemInfo(int32_t dtype) {
  return dtype >= 0 && dtype < static_cast<int32_t>(std::size(table)) ? &table[dtype] : nullptr;
}

std::optional<int32_t> elemNamed(std::string_view name) {
  for (size_t i = 0; i < std::size(table); ++i)
    if (name == table[i].name)
      return static_cast<int32_t>(i);
  return std::nullopt;
}

std::optional<int32_t> elemOfSafetensors(std::string_view name) {
  for (size_t i = 0; i < std::size(table); ++i)
    if (name == table[i].safetensors)
      return static_cast<int32_t>(i);
  return std::nullopt;
}

std::string typeText(int32_t dtype, const std::vector<int64_t> &shape) {
  const ElemInfo *info = elemInfo(dtype);
  std::string text = info ? info->name : "?";
  text += '[';
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ']';
}

} // namespace bigm::rt
