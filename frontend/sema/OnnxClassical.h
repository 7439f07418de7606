// What the operators of the domain `ai.onnx.ml` share: records, classes, scores.
#pragma once
#include "OnnxNode.h"

namespace bigm::sema::onnx_import {

inline Dim sizeOf(size_t n) { return Dim(int64_t(n)); }
/// Numbers of any kind as [N, F] of one type.
Val rows(NodeCall &c, Type type = Type::F32);
Val vector(NodeCall &c, const std::vector<double> &v);
/// Scores [N, K] as the node's `post_transform` says, or `how`.
Val transformed(NodeCall &c, const Val &scores, const std::string &how);
inline Val transformed(NodeCall &c, const Val &scores) { return transformed(c, scores, c.text("post_transform", "NONE")); }
/// How many classes the model has, and what stands for each: the file's numbers, else 0, 1, ...
std::vector<Dim> classesOf(NodeCall &c, const std::string &ints, const std::string &names);
/// The classes that stand at these places.
Val labelled(NodeCall &c, const Val &places, const std::vector<Dim> &classes);
/// Class and scores. One score for two classes is that of the second; `positive` says that it is a probability.
Vals decided(NodeCall &c, Val scores, const std::vector<Dim> &classes, bool positive);

} // namespace bigm::sema::onnx_import
