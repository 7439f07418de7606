// A text as JSON.
#pragma once
#include "Error.h"
#include "runtime/core/JsonDepth.h"
#include <nlohmann/json.hpp>

namespace bigm::data {

/// Throws Error, `place` first, for what is no JSON and for what nests too deep. Objects are sorted: finding a member of those
/// that keep the order of a file takes as long as they have members, and making them the square of that.
inline nlohmann::json parseJson(std::string_view text, const std::string &place) {
  if (rt::nestsTooDeep(text))
    fail("{}: lists and objects stand in each other more than {} deep", place, rt::kMostNested);
  auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded())
    fail("{}: is no JSON", place);
  return json;
}

} // namespace bigm::data
