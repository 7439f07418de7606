// The files in which a model's tensors lie when they do not lie in the model's own.
#pragma once
#include "frontend/onnx/Onnx.h"

namespace bigm::onnx {

/// What is wrong with a file; does not leave the folder.
struct Malformed {
  explicit Malformed(std::string text) : what(std::move(text)) {}
  std::string what;
};

/// Maps each file once. A name that leads out of the folder is refused: a model says what it reads, not the machine's
/// owner.
class DataFiles {
public:
  explicit DataFiles(std::string folder) : folder(std::move(folder)) {}
  Bytes part(const std::string &file, uint64_t offset, uint64_t length, const std::string &tensor);

private:
  std::string folder;
  std::map<std::string, Bytes> mapped;
};

} // namespace bigm::onnx
