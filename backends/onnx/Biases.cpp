// A bias that is added behind a convolution or a product becomes its third input.
//
// The dialect adds a bias by an op of its own, so Conv and Gemm are written without one. Whoever reads the file (a runtime that fuses
// less, a quantiser, an importer that looks for layers) finds the layer as other exporters write it. Only parameters of one number a
// channel are taken, behind a weight of the file, where nothing else reads the sum without it.
#include "backends/onnx/Emitter.h"
#include <cstring>
#include <map>

namespace mlir::bigm::to_onnx {
namespace {
using Graph = ::onnx::GraphProto;
using Node = ::onnx::NodeProto;

class Biases {
public:
  explicit Biases(Graph &model) {
    for (auto &t : model.initializer())
      tensors[t.name()] = &t;
    count(model);
    join(model);
  }

private:
  void count(const Graph &graph) {
    for (auto &output : graph.output())
      ++uses[output.name()];
    for (auto &node : graph.node()) {
      for (auto &name : node.input())
        ++uses[name];
      for (auto &attribute : node.attribute())
        if (attribute.has_g())
          count(attribute.g());
    }
  }

  const ::onnx::TensorProto *tensor(const std::string &name) const {
    auto found = tensors.find(name);
    return found == tensors.end() ? nullptr : found->second;
  }

  /// How many channels a product without a bias gives; 0 where it is none. `behind`: dimensions behind the channels.
  static int64_t channels(const Node &node, const ::onnx::TensorProto *weight, int &behind) {
    if (node.input_size() != 2 || !weight)
      return 0;
    if (node.op_type() == "Conv" && weight->dims_size() > 2) {
      behind = weight->dims_size() - 2;
      return weight->dims(0);
    }
    if (node.op_type() != "Gemm" || weight->dims_size() != 2)
      return 0;
    behind = 0;
    bool turned = false;
    for (auto &attribute : node.attribute())
      turned |= attribute.name() == "transB" && attribute.i();
    return weight->dims(turned ? 0 : 1);
  }

  /// The parameter of which `name` has one number a channel, with `behind` dimensions of size 1 behind them; empty where it is none.
  std::string bias(const std::string &name, int64_t channels, int behind, const std::map<std::string, Node *> &makers) const {
    std::string of = name;
    if (auto maker = makers.find(name); behind && maker != makers.end() && maker->second->op_type() == "Unsqueeze") {
      const ::onnx::TensorProto *axes = tensor(maker->second->input(1));
      if (!axes || axes->dims_size() != 1 || axes->dims(0) != behind || axes->raw_data().size() != size_t(behind) * sizeof(int64_t))
        return {};
      for (int i = 0; i < behind; ++i) {
        int64_t axis;
        std::memcpy(&axis, axes->raw_data().data() + size_t(i) * sizeof axis, sizeof axis);
        if (axis != i + 1)
          return {};
      }
      of = maker->second->input(0), behind = 0;
    }
    const ::onnx::TensorProto *t = tensor(of);
    return !behind && t && t->dims_size() == 1 && t->dims(0) == channels ? of : std::string();
  }

  void join(Graph &graph) {
    std::map<std::string, Node *> makers;
    std::set<const Node *> gone;
    for (Node &node : *graph.mutable_node()) {
      for (auto &attribute : *node.mutable_attribute())
        if (attribute.has_g())
          join(*attribute.mutable_g());
      if (node.op_type() == "Add")
        for (int i : {0, 1}) {
          auto maker = makers.find(node.input(i));
          if (maker == makers.end() || uses[node.input(i)] != 1)
            continue;
          int behind = 0;
          const int64_t count = channels(*maker->second, tensor(maker->second->input_size() == 2 ? maker->second->input(1) : ""), behind);
          const std::string found = count ? bias(node.input(1 - i), count, behind, makers) : "";
          if (found.empty())
            continue;
          maker->second->add_input(found);
          maker->second->set_output(0, node.output(0));
          makers[node.output(0)] = maker->second;
          gone.insert(&node);
          break;
        }
      if (!gone.count(&node))
        for (auto &name : node.output())
          makers[name] = &node;
    }
    int kept = 0;
    auto &nodes = *graph.mutable_node();
    for (int i = 0; i < nodes.size(); ++i)
      if (!gone.count(&nodes[i]))
        nodes.SwapElements(kept++, i);
    nodes.DeleteSubrange(kept, nodes.size() - kept);
  }

  std::map<std::string, const ::onnx::TensorProto *> tensors;
  std::map<std::string, int> uses;
};
} // namespace

void joinBiases(Graph &model) { Biases{model}; }

} // namespace mlir::bigm::to_onnx
