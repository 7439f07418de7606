// Element types: one table from which names and sizes follow, in the manifest and in safetensors files.
#pragma once
#include "bigm/bigm.h"
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bigm::rt {

struct ElemInfo {
  const char *name;        // in manifests and messages
  const char *safetensors; // in the header of a safetensors file
  size_t size;
};
/// By number of bigm_dtype; null when there is none.
const ElemInfo *elemInfo(int32_t dtype);
std::optional<int32_t> elemNamed(std::string_view name);
std::optional<int32_t> elemOfSafetensors(std::string_view name);
/// `f32[32, 1, 3, 3]`
std::string typeText(int32_t dtype, const std::vector<int64_t> &shape);

} // namespace bigm::rt
