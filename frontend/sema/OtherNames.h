// What people call things that have another name here, for hints: names of PyTorch, Keras, NumPy and ONNX.
#pragma once
#include <string_view>

namespace bigm {

/// How what others call a word is written here.
struct OwnName {
  std::string_view text; // empty when nothing is known
  bool isName = false;   // `text` is a built-in function or a name of the library, else words about what stands in its place
};
OwnName ownNameOf(std::string_view word);
/// The type here, written out, for a name of a type elsewhere; empty when nothing is known.
std::string_view ownTypeOf(std::string_view word);

} // namespace bigm
