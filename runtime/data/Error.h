// What a user gave is wrong: a file, a row, a folder.
//
// Everything in runtime/data and runtime/driver throws this for bad input, with a whole sentence that names the file
// (and the row) and what was expected; the driver catches it once and prints it. Nothing else is thrown on purpose.
#pragma once
#include <fmt/format.h>
#include <stdexcept>

namespace bigm::data {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// fail("{}: expected {}", file, what) throws Error with that text.
template <class... Args> [[noreturn]] void fail(fmt::format_string<Args...> text, Args &&...args) {
  throw Error(fmt::format(text, std::forward<Args>(args)...));
}

} // namespace bigm::data
