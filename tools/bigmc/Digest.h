// SHA-256 as hexadecimal digits.
#pragma once
#include <string>
#include <string_view>

namespace bigm::tool {

std::string sha256(std::string_view bytes);

} // namespace bigm::tool
