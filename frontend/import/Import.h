// An ONNX graph as text of the language, with its weights by the names of the text's parameters.
#pragma once
#include "frontend/Graph.h"
#include "frontend/onnx/Onnx.h"

namespace bigm {

struct ImportedTensor {
  std::string name; // of the model, without the instance's: "conv1.weight"
  Elem elem;
  std::vector<int64_t> shape;
  std::string bytes;
};
struct ImportedProgram {
  std::string text; // not formatted
  std::vector<ImportedTensor> tensors;
  std::vector<std::string> problems; // nodes that cannot be written, each with its reason; then there is no text
};

/// `name` is what the instance is called, `weights` the path that the text says its weights have, `source` the file's name.
ImportedProgram importOnnx(const onnx::Model &model, const std::string &name, const std::string &weights,
                           const std::string &source);

} // namespace bigm
