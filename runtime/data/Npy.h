// One npy file as it is.
#pragma once
#include "Tensor.h"

namespace bigm::data {

/// Throws Error naming the file.
Tensor readNpyTensor(const std::string &path);

} // namespace bigm::data
