// What a user gave is wrong: a tokenizer's file, or a text that a vocabulary cannot express.
#pragma once
#include <stdexcept>
#include <string>

namespace bigm::text {

/// A whole sentence that names the file, the place in it, what was seen and what was expected.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

} // namespace bigm::text
