// The model around the graph, and the file: whole or not at all.
#include "backends/onnx/Emitter.h"
#include <filesystem>
#include <fstream>

namespace mlir::bigm::to_onnx {
namespace {
namespace fs = std::filesystem;

/// Whether it combines bits, which is there from operator set 18 on; so do the steps of its recurrences.
bool combinesBits(func::FuncOp function) {
  bool bits = false;
  function.walk([&](Operation *op) {
    bits |= isa<BitAndOp, BitOrOp, BitXorOp>(op);
    if (auto scan = dyn_cast<ScanOp>(op))
      bits |= combinesBits(SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, scan.getBodyAttr()));
  });
  return bits;
}

/// Adds all names that nodes read, those of graphs in nodes too.
void readBy(const ::onnx::NodeProto &node, std::set<std::string> &names) {
  names.insert(node.input().begin(), node.input().end());
  for (auto &attribute : node.attribute()) {
    for (auto &inner : attribute.g().node())
      readBy(inner, names);
    for (auto &output : attribute.g().output())
      names.insert(output.name());
  }
}

/// Nodes and constants that were written for what then became another operator.
void dropUnread(::onnx::GraphProto &graph) {
  std::set<std::string> read;
  for (auto &output : graph.output())
    read.insert(output.name());
  auto keep = [&](auto &all, auto wanted) {
    int kept = 0;
    for (int i = 0; i < all.size(); ++i)
      if (wanted(all[i]))
        all.SwapElements(kept++, i);
    all.DeleteSubrange(kept, all.size() - kept);
  };
  std::set<std::string> dead;
  for (int i = graph.node_size() - 1; i >= 0; --i) {
    auto &node = *graph.mutable_node(i);
    if (std::none_of(node.output().begin(), node.output().end(), [&](auto &name) { return read.count(name); })) {
      dead.insert(node.output(0));
      continue;
    }
    for (auto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        dropUnread(*attribute.mutable_g());
    readBy(node, read);
  }
  keep(*graph.mutable_node(), [&](auto &node) { return !dead.count(node.output(0)); });
  keep(*graph.mutable_initializer(), [&](auto &tensor) { return read.count(tensor.name()) != 0; });
}

/// Writes beside the place; `close` renames.
struct Written {
  std::string path, temp;
  std::ofstream out;
  explicit Written(const std::string &path) : path(path), temp(path + ".bigmc-tmp"), out(temp, std::ios::binary) {}
  ~Written() {
    std::error_code ignored;
    fs::remove(temp, ignored);
  }
  bool finish() { return bool(out.flush()); }
  bool rename() {
    out.close();
    std::error_code failed;
    fs::rename(temp, path, failed);
    return !failed;
  }
};

/// Moves large weights behind each other into `out`, each on a page of its own.
void moveOut(::onnx::GraphProto &graph, const std::string &location, std::ostream &out) {
  uint64_t offset = 0;
  for (auto &t : *graph.mutable_initializer()) {
    if (t.raw_data().size() < 1024)
      continue;
    const uint64_t page = 4096, start = (offset + page - 1) / page * page;
    out << std::string(start - offset, '\0') << t.raw_data();
    offset = start + t.raw_data().size();
    t.set_data_location(::onnx::TensorProto::EXTERNAL);
    auto say = [&](const char *key, const std::string &value) {
      auto &entry = *t.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    };
    say("location", location);
    say("offset", std::to_string(start));
    say("length", std::to_string(t.raw_data().size()));
    t.clear_raw_data();
  }
}
} // namespace

std::vector<Refusal> write(func::FuncOp function, const Options &options, const std::string &path, std::string &error) {
  ::onnx::ModelProto model;
  model.set_ir_version(8);
  model.set_producer_name(options.producer);
  model.set_producer_version(options.version);
  auto &opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(combinesBits(function) ? 18 : 17);
  for (auto &[key, value] : options.metadata) {
    auto &entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  std::vector<Refusal> refusals = Emitter(function, options, model, int(opset.version())).run();
  if (!refusals.empty())
    return refusals;
  joinBiases(*model.mutable_graph());
  dropUnread(*model.mutable_graph());

  Written file(path);
  uint64_t bytes = 0;
  for (auto &t : model.graph().initializer())
    bytes += t.raw_data().size();
  std::unique_ptr<Written> data;
  if (bytes > options.atMostInside) {
    data = std::make_unique<Written>(path + ".data");
    moveOut(*model.mutable_graph(), fs::path(path).filename().string() + ".data", data->out);
  }
  bool written = model.SerializeToOstream(&file.out) && file.finish() && (!data || data->finish());
  if (!written || (data && !data->rename()) || !file.rename())
    error = "cannot write `" + path + "`";
  return {};
}

} // namespace mlir::bigm::to_onnx
