// One node while it is evaluated, and the table of operators that the files Onnx*.cpp fill.
#pragma once
#include "OnnxTensors.h"

namespace bigm::sema::onnx_import {

class Evaluation;

struct NodeCall {
  const onnx::Node &node;
  int64_t version; // of the operator set
  Vals in;
  Tensors &t;
  Evaluation &evaluation;

  bool has(size_t i) const { return i < in.size() && in[i].some(); }
  const Val &x(size_t i = 0) const; // refuses one that is left out
  Val operand(size_t i) const { return has(i) ? in[i] : Val(); } // nothing for one that is left out
  /// The first operand, when its rank is within bounds.
  const Val &ranked(size_t least, size_t most = 64) const;
  bool wants(size_t output) const { return output < node.outputs.size() && !node.outputs[output].empty(); }
  const onnx::Attribute *attribute(const std::string &name) const;
  int64_t integer(const std::string &name, int64_t otherwise) const;
  double real(const std::string &name, double otherwise) const;
  std::string text(const std::string &name, const std::string &otherwise) const;
  std::vector<int64_t> integers(const std::string &name, std::vector<int64_t> otherwise) const;
  std::vector<double> reals(const std::string &name) const; // none when left out
  /// An attribute of old versions that became the operand `i`: integers; nothing when left out.
  std::optional<std::vector<int64_t>> integersOf(const std::string &name, size_t i) const;
  /// What an operator of the default domain gives of these operands, as version `version` of the set has it.
  Vals as(const std::string &op, int64_t version, Vals operands, std::map<std::string, onnx::Attribute> attributes = {}) const;
};
onnx::Attribute attributeOf(int64_t);
onnx::Attribute attributeOf(double);

/// The domain of scalers, linear models and trees; its operators stand in the table as DOMAIN.NAME.
inline constexpr const char *kClassical = "ai.onnx.ml";
/// ONNX Runtime's own, which its optimiser and quantiser write.
inline constexpr const char *kContributed = "com.microsoft";

using Operator = Vals (*)(NodeCall &);
using Table = std::map<std::string, Operator>;
void addPointwise(Table &);
void addActivations(Table &);
void addShapes(Table &);
void addPads(Table &);
void addReductions(Table &);
void addConvolutions(Table &);
void addPools(Table &);
void addProducts(Table &);
void addNorms(Table &);
void addLookups(Table &);
void addSampling(Table &);
void addRegions(Table &);
void addResize(Table &);
void addQuantized(Table &);
void addRecurrent(Table &);
void addControl(Table &);
void addLosses(Table &);
void addAttention(Table &);
void addSignals(Table &);
void addConstants(Table &);
void addClassical(Table &);
void addTrees(Table &);
void addSupportVectors(Table &);
void addEncoders(Table &);
void addFused(Table &);
void addFusedAttention(Table &);
void addFusedQuantized(Table &);

/// The type that an attribute names by its number.
Type typeOf(int64_t number);

} // namespace bigm::sema::onnx_import
