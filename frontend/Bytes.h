// Bytes that somebody keeps: a string of a file's, or a part of a mapped one. Copies share them.
#pragma once
#include <memory>
#include <string_view>

namespace bigm {
struct Bytes {
  std::shared_ptr<const void> owner;
  std::string_view view;
};
} // namespace bigm
