// Protobuf messages to plain structs. The schema and its parser are ONNX's own (libonnx_proto); what the schema does
// not say is checked here: sizes against data, names against definitions, data files against their folder.
#define ONNX_ML 1
#define ONNX_NAMESPACE onnx
#include "frontend/onnx/Onnx.h"
#include "frontend/onnx/Data.h"
#include "frontend/onnx/Lengths.h"
#include <fcntl.h>
#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <onnx/onnx_pb.h>
#include <set>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bigm::onnx {
namespace {

class Reader {
public:
  explicit Reader(std::string folder) : files(std::move(folder)) {}

  std::shared_ptr<const Model> model(::onnx::ModelProto &proto) {
    auto out = std::make_shared<Model>();
    out->producer = proto.producer_name();
    if (!proto.has_graph())
      throw Malformed("has no graph");
    opsets(proto.opset_import(), out->opsets);
    if (out->opsets.empty())
      throw Malformed("names no version of the operators (`opset_import`)");
    for (auto &f : *proto.mutable_functions()) {
      Function function;
      function.name = overloaded(f.name(), field(f, kFunctionOverload));
      function.domain = domain(f.domain());
      function.inputs.assign(f.input().begin(), f.input().end());
      function.outputs.assign(f.output().begin(), f.output().end());
      for (auto &a : f.attribute())
        function.defaults[a];
      opsets(f.opset_import(), function.opsets);
      Names names;
      for (auto &text : fields(f, kFunctionDefaults)) {
        ::onnx::AttributeProto a;
        if (!a.ParseFromString(text))
          throw Malformed(fmt::format("the function `{}` has a default that is cut off", function.name));
        function.defaults[a.name()] = attribute(a, names);
      }
      for (auto &input : function.inputs)
        names.define(input, "input");
      nodes(*f.mutable_node(), function.nodes, names);
      out->functions.push_back(std::move(function));
    }
    out->graph = graph(*proto.mutable_graph(), nullptr);
    return out;
  }

  std::shared_ptr<const Tensor> tensor(::onnx::TensorProto &proto) {
    auto out = std::make_shared<Tensor>();
    out->name = proto.name();
    out->type = Type(proto.data_type());
    out->shape.assign(proto.dims().begin(), proto.dims().end());
    auto count = countOf(out->shape);
    if (!count)
      throw Malformed(fmt::format("tensor `{}` has sizes that no memory holds", proto.name()));
    if (out->type == Type::String) {
      if (*count != proto.string_data_size())
        throw Malformed(
            fmt::format("tensor `{}` has {} texts for {} elements", proto.name(), proto.string_data_size(), *count));
      for (auto &s : *proto.mutable_string_data())
        out->strings.push_back(std::move(s));
      return out;
    }
    unsigned bits = bitsOf(out->type);
    if (!bits)
      throw Malformed(fmt::format("tensor `{}` has the unknown type {}", proto.name(), proto.data_type()));
    int64_t bytes;
    if (__builtin_mul_overflow(*count, int64_t(bits), &bytes))
      throw Malformed(fmt::format("tensor `{}` has sizes that no memory holds", proto.name()));
    bytes = (bytes + 7) / 8;
    if (proto.data_location() == ::onnx::TensorProto::EXTERNAL)
      out->bytes = external(proto, bytes);
    else if (proto.has_raw_data())
      out->bytes = own(std::move(*proto.mutable_raw_data()));
    else
      out->bytes = own(typed(proto, out->type, *count));
    if (int64_t(out->bytes.view.size()) != bytes)
      throw Malformed(
          fmt::format("tensor `{}` needs {} bytes and has {}", proto.name(), bytes, out->bytes.view.size()));
    return out;
  }

private:
  /// Names that are defined where a node stands.
  struct Names {
    const Names *outer = nullptr;
    std::set<std::string> known;
    bool has(const std::string &name) const { return known.count(name) || (outer && outer->has(name)); }
    void define(const std::string &name, const char *what) {
      if (!name.empty() && !known.insert(name).second)
        throw Malformed(fmt::format("defines `{}` twice, the second time as {}", name, what));
    }
  };

  static std::string domain(const std::string &name) { return name == "ai.onnx" ? "" : name; }
  template <class List> void opsets(const List &list, std::map<std::string, int64_t> &out) {
    for (auto &set : list)
      out[domain(set.domain())] = set.version();
  }

  static Bytes own(std::string text) {
    auto kept = std::make_shared<const std::string>(std::move(text));
    return {kept, *kept};
  }

  Bytes external(const ::onnx::TensorProto &proto, int64_t bytes) {
    std::string file;
    uint64_t offset = 0, length = uint64_t(bytes);
    auto number = [&](const std::string &text) {
      uint64_t value = 0;
      if (text.empty() || text.size() > 19 || text.find_first_not_of("0123456789") != std::string::npos)
        throw Malformed(fmt::format("tensor `{}` lies in a data file at `{}`, which is no place", proto.name(), text));
      for (char c : text)
        value = value * 10 + uint64_t(c - '0');
      return value;
    };
    for (auto &entry : proto.external_data()) {
      if (entry.key() == "location")
        file = entry.value();
      else if (entry.key() == "offset")
        offset = number(entry.value());
      else if (entry.key() == "length")
        length = number(entry.value());
    }
    return files.part(file, offset, length, proto.name());
  }

  /// Values in the fields for their kind: each is a whole number or a float of its own.
  static std::string typed(const ::onnx::TensorProto &proto, Type type, int64_t count) {
    std::string out;
    auto put = [&](auto value) { out.append(reinterpret_cast<const char *>(&value), sizeof value); };
    auto all = [&](const auto &list, int64_t each, auto convert) {
      if (list.size() != each)
        throw Malformed(fmt::format("tensor `{}` has {} values for {} elements", proto.name(), list.size(), count));
      for (auto value : list)
        put(convert(value));
    };
    auto same = [](auto value) { return value; };
    switch (type) {
    case Type::F32: all(proto.float_data(), count, same); break;
    case Type::Complex64: all(proto.float_data(), 2 * count, same); break;
    case Type::F64: all(proto.double_data(), count, same); break;
    case Type::Complex128: all(proto.double_data(), 2 * count, same); break;
    case Type::I64: all(proto.int64_data(), count, same); break;
    case Type::U64: all(proto.uint64_data(), count, same); break;
    case Type::U32: all(proto.uint64_data(), count, [](uint64_t v) { return uint32_t(v); }); break;
    case Type::I32: all(proto.int32_data(), count, same); break;
    case Type::I16: case Type::U16: case Type::F16: case Type::BF16:
      all(proto.int32_data(), count, [](int32_t v) { return uint16_t(v); });
      break;
    case Type::U4: case Type::I4: case Type::F4E2M1:
      all(proto.int32_data(), (count + 1) / 2, [](int32_t v) { return uint8_t(v); });
      break;
    default: all(proto.int32_data(), count, [](int32_t v) { return uint8_t(v); });
    }
    return out;
  }

  Attribute attribute(::onnx::AttributeProto &proto, const Names &names) {
    using P = ::onnx::AttributeProto;
    using K = Attribute::Kind;
    Attribute out;
    out.reference = proto.ref_attr_name();
    switch (proto.type()) {
    case P::FLOAT: out.kind = K::Float; out.real = proto.f(); break;
    case P::INT: out.kind = K::Int; out.integer = proto.i(); break;
    case P::STRING: out.kind = K::String; out.text = proto.s(); break;
    case P::TENSOR: out.kind = K::Tensor; out.tensor = tensor(*proto.mutable_t()); break;
    case P::GRAPH:
      out.kind = K::Graph;
      out.graph = std::make_shared<Graph>(graph(*proto.mutable_g(), &names));
      break;
    case P::FLOATS: out.kind = K::Floats; out.reals.assign(proto.floats().begin(), proto.floats().end()); break;
    case P::INTS: out.kind = K::Ints; out.integers.assign(proto.ints().begin(), proto.ints().end()); break;
    case P::STRINGS: out.kind = K::Strings; out.texts.assign(proto.strings().begin(), proto.strings().end()); break;
    case P::GRAPHS:
      out.kind = K::Graphs;
      for (auto &g : *proto.mutable_graphs())
        out.graphs.push_back(std::make_shared<Graph>(graph(g, &names)));
      break;
    default: out.kind = K::Other;
    }
    return out;
  }

  // ------------------------------------------------------------ fields that ONNX 1.12's messages do not know
  static constexpr int kNodeOverload = 8, kNodeMetadata = 9, kFunctionDefaults = 11, kFunctionOverload = 13;
  template <class Message> static std::vector<std::string> fields(const Message &message, int number) {
    std::vector<std::string> out;
    const auto &unknown = message.unknown_fields();
    for (int i = 0; i < unknown.field_count(); ++i)
      if (unknown.field(i).number() == number &&
          unknown.field(i).type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
        out.push_back(unknown.field(i).length_delimited());
    return out;
  }
  template <class Message> static std::string field(const Message &message, int number) {
    auto all = fields(message, number);
    return all.empty() ? "" : all.back();
  }
  /// Functions of one name are told apart by what the file calls their overload.
  static std::string overloaded(const std::string &name, const std::string &overload) {
    return overload.empty() ? name : name + "." + overload;
  }
  /// A node's name with the module it comes from, as PyTorch's first exporter wrote it: its second one says
  /// "['', 'encoder', 'encoder.layers.0', 'view_3']" beside the name.
  static std::string scoped(const ::onnx::NodeProto &proto) {
    if (proto.name().empty() || proto.name().starts_with("/"))
      return proto.name();
    for (const std::string &text : fields(proto, kNodeMetadata)) {
      ::onnx::StringStringEntryProto entry;
      if (!entry.ParseFromString(text) || entry.key() != "pkg.torch.onnx.name_scopes")
        continue;
      std::vector<std::string> parts;
      const std::string &list = entry.value();
      for (size_t open = list.find('\''); open != std::string::npos; open = list.find('\'', open)) {
        size_t close = list.find('\'', open + 1);
        if (close == std::string::npos)
          break;
        parts.push_back(list.substr(open + 1, close - open - 1));
        open = close + 1;
      }
      if (parts.size() > 1 && !parts[parts.size() - 2].empty())
        return "/" + parts[parts.size() - 2] + "/" + proto.name();
    }
    return proto.name();
  }

  template <class List> void nodes(List &list, std::vector<Node> &out, Names &names) {
    for (auto &proto : list) {
      Node node;
      node.name = scoped(proto);
      node.op = overloaded(proto.op_type(), field(proto, kNodeOverload));
      node.domain = domain(proto.domain());
      node.inputs.assign(proto.input().begin(), proto.input().end());
      node.outputs.assign(proto.output().begin(), proto.output().end());
      for (auto &input : node.inputs)
        if (!input.empty() && !names.has(input))
          throw Malformed(
              fmt::format("node `{}` ({}) reads `{}`, which nothing before it defines: the nodes are not in "
                          "order, or form a cycle",
                          node.name, node.op, input));
      for (auto &a : *proto.mutable_attribute())
        if (!node.attributes.emplace(a.name(), attribute(a, names)).second)
          throw Malformed(fmt::format("node `{}` ({}) has the attribute `{}` twice", node.name, node.op, a.name()));
      for (auto &output : node.outputs)
        names.define(output, "an output of a node");
      out.push_back(std::move(node));
    }
  }

  Info info(const ::onnx::ValueInfoProto &proto) {
    Info out;
    out.name = proto.name();
    if (!proto.type().has_tensor_type())
      return out;
    auto &type = proto.type().tensor_type();
    out.type = Type(type.elem_type());
    if (!type.has_shape())
      return out;
    out.shape.emplace();
    for (auto &d : type.shape().dim()) {
      if (d.has_dim_value() && d.dim_value() >= 0)
        out.shape->push_back(d.dim_value());
      else if (d.has_dim_param() && !d.dim_param().empty())
        out.shape->push_back(d.dim_param());
      else
        out.shape->push_back(std::monostate());
    }
    return out;
  }

  Graph graph(::onnx::GraphProto &proto, const Names *outer) {
    Graph out;
    out.name = proto.name();
    if (proto.sparse_initializer_size())
      throw Malformed("has sparse initialisers, which are not supported");
    Names names;
    names.outer = outer;
    std::set<std::string> initialised;
    for (auto &t : *proto.mutable_initializer()) {
      names.define(t.name(), "an initialiser");
      initialised.insert(t.name());
      out.initializers.push_back(*tensor(t));
    }
    for (auto &input : proto.input()) {
      if (initialised.count(input.name())) // up to IR version 3 initialisers stand among the inputs
        continue;
      names.define(input.name(), "an input");
      out.inputs.push_back(info(input));
    }
    nodes(*proto.mutable_node(), out.nodes, names);
    for (auto &output : proto.output()) {
      if (!names.has(output.name()))
        throw Malformed(fmt::format("has the output `{}`, which nothing defines", output.name()));
      out.outputs.push_back(info(output));
    }
    return out;
  }

  DataFiles files;
};

template <class Parse> auto guarded(std::string &error, Parse parse) -> decltype(parse()) {
  google::protobuf::SetLogHandler(nullptr); // what is wrong is said by us
  try {
    return parse();
  } catch (const Malformed &e) {
    error = e.what;
  } catch (const std::bad_alloc &) {
    error = "needs more memory than there is";
  }
  return nullptr;
}
const char *notOnnx = "is not an ONNX model: it cannot be read as one, or is cut off";

template <class Proto> bool parse(Proto &proto, std::string_view bytes) {
  return bytes.size() <= size_t(INT32_MAX) && lengthsFit(bytes, *Proto::descriptor()) && proto.ParseFromArray(bytes.data(), int(bytes.size()));
}

/// A file in memory, while it is read.
class Mapped {
public:
  explicit Mapped(const std::string &path) {
    int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (file < 0 || ::fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) {
      if (file >= 0)
        ::close(file);
      throw Malformed("cannot be opened");
    }
    size = size_t(about.st_size);
    at = size ? ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0) : nullptr;
    ::close(file);
    if (at == MAP_FAILED)
      throw Malformed("cannot be read");
  }
  ~Mapped() {
    if (size)
      ::munmap(at, size);
  }
  Mapped(const Mapped &) = delete;
  std::string_view bytes() const { return {static_cast<const char *>(at), size}; }

private:
  void *at = nullptr;
  size_t size = 0;
};

} // namespace

std::shared_ptr<const Model> read(const std::string &path, std::string &error) {
  return guarded(error, [&]() -> std::shared_ptr<const Model> {
    ::onnx::ModelProto proto;
    if (!parse(proto, Mapped(path).bytes()))
      throw Malformed(notOnnx);
    size_t slash = path.rfind('/');
    auto model = Reader(slash == std::string::npos ? "." : path.substr(0, slash)).model(proto);
    const_cast<Model &>(*model).path = path; // still ours
    return model;
  });
}

std::shared_ptr<const Model> read(std::string_view bytes, const std::string &folder, std::string &error) {
  return guarded(error, [&]() -> std::shared_ptr<const Model> {
    ::onnx::ModelProto proto;
    if (!parse(proto, bytes))
      throw Malformed(notOnnx);
    return Reader(folder).model(proto);
  });
}

std::shared_ptr<const Tensor> readTensor(std::string_view bytes, std::string &error) {
  return guarded(error, [&]() -> std::shared_ptr<const Tensor> {
    ::onnx::TensorProto proto;
    if (!parse(proto, bytes))
      throw Malformed("is not a tensor");
    return Reader("").tensor(proto);
  });
}

} // namespace bigm::onnx
