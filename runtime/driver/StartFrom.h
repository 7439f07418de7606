// `start from "stem.safetensors"`: weights by names relative to the model, as other frameworks save them.
#pragma once
#include "Session.h"
#include <set>
#include <string>

namespace bigm::driver {

/// Copies every tensor of a safetensors file into the parameter or state of train program `train` that has its name,
/// with or without `train.` in front. Tensors of the model that the file lacks keep their values. A tensor of the file
/// that the model lacks, or that differs in shape or type, is an error that names both; then nothing is changed.
/// `num_batches_tracked` of PyTorch is passed over. Returns the tensors that were set. Throws data::Error.
std::set<int32_t> startFrom(Session &session, const std::string &train, const std::string &path);

} // namespace bigm::driver
