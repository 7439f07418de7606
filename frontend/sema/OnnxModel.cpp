// `model name from onnx("file.onnx")`: the file's graph as an instance like any other.
//
// The file's inputs are written down as a declaration of the language, which is parsed like the user's: so arguments
// are bound, sizes unified and mistakes told as for every model. Only the body is not text: applying it evaluates the
// graph.
#include "Checker.h"
#include "Onnx.h"
#include "frontend/parse/Parse.h"
#include <cstdlib>
#include <filesystem>
#include <set>

namespace bigm::sema {

using onnx_import::Evaluation;
using onnx_import::Tensors;

struct Checker::OnnxModel {
  std::shared_ptr<const onnx::Model> file;
  std::string path; // as written
  std::unique_ptr<ast::File> tree;
  std::vector<std::string> inputs, outputs; // as names of the language
  std::vector<std::vector<Dim>> sizes;      // of the inputs
  std::map<std::string, std::string> constants; // what is no tensor of the file, by its bytes: a name
  std::set<std::string> named;                  // tensors of the file
};

namespace {

/// Where a file lies that the program names: in one of the given folders, beside the program, or in $BIGM_WEIGHTS, the
/// same places in which the runtime looks for weights. Beside the program when it is in none of them.
std::string namedFile(const SourceManager &sources, uint32_t program, const std::string &name) {
  namespace fs = std::filesystem;
  fs::path wanted(name), beside = fs::path(sources.name(program)).parent_path() / wanted;
  std::vector<fs::path> places;
  for (auto &folder : sources.folders) {
    places.push_back(fs::path(folder) / wanted);
    places.push_back(fs::path(folder) / wanted.filename());
  }
  places.push_back(beside);
  if (const char *folder = std::getenv("BIGM_WEIGHTS"); folder && *folder)
    places.push_back(fs::path(folder) / wanted);
  for (auto &place : places)
    if (std::error_code error; fs::is_regular_file(place, error))
      return place.string();
  return beside.string();
}

/// Tensors of the instance: those of the file by their names there.
struct InstanceStore : onnx_import::Store {
  Checker &k;
  Instance &instance;
  std::map<std::string, std::string> &constants;
  const std::set<std::string> &named;
  SourceRange where;
  InstanceStore(Checker &k, Instance &instance, std::map<std::string, std::string> &constants,
                const std::set<std::string> &named, SourceRange where)
      : k(k), instance(instance), constants(constants), named(named), where(where) {}

  Value tensor(const std::string &name, TensorDecl::Kind kind, const TensorType &type, Bytes bytes) override {
    std::string known = name;
    if (known.empty()) {
      std::string &own = constants[type.str() + ":" + std::string(bytes.view)];
      for (size_t n = constants.size(); own.empty(); ++n) // a name that no tensor of the file has
        if (std::string free = "constant_" + std::to_string(n); !named.count(free) && !instance.tensors.count(free))
          own = free;
      known = own;
    }
    // Names of nodes, which constants have theirs from, need not be different.
    auto other = [&](int number) {
      const TensorDecl &d = k.program->tensors[size_t(number)];
      return d.type.str() != type.str() || (d.initial.view.data() != bytes.view.data() && d.initial.view != bytes.view);
    };
    auto found = instance.tensors.find(known);
    for (int n = 2; found != instance.tensors.end() && other(found->second); ++n)
      found = instance.tensors.find(known = name + "_" + std::to_string(n));
    if (found == instance.tensors.end()) {
      k.program->tensors.push_back({kind, instance.path + "." + known, type, where, bytes});
      found = instance.tensors.emplace(known, int(k.program->tensors.size()) - 1).first;
    }
    return k.rec->tensor(found->second, k.program->tensors[size_t(found->second)]);
  }
};

} // namespace

std::shared_ptr<Instance> Checker::onnxInstance(const ast::InstanceDecl &d, Module *m) {
  ModelSource from;
  readSource(d, from);
  if (from.path.empty())
    return nullptr;
  std::string error, path = namedFile(sources, d.range.file, from.path);
  auto model = std::make_shared<OnnxModel>();
  model->path = from.path;
  model->file = onnx::read(path, error);
  auto refused = [&](const std::string &why) {
    fail(Diag::OnnxFile, d.source->range, {from.path, why});
    return nullptr;
  };
  if (!model->file)
    return refused(error);
  auto opset = model->file->opsets.find("");
  if (opset != model->file->opsets.end() &&
      (opset->second < onnx_import::kOldestOpset || opset->second > onnx_import::kNewestOpset))
    return refused("uses version " + std::to_string(opset->second) + " of the operators; known are " +
                   std::to_string(onnx_import::kOldestOpset) + " to " + std::to_string(onnx_import::kNewestOpset));
  // The declaration.
  std::set<std::string> taken = {"model", "f32", "sum"};
  std::string text = "model " + d.name.text + "()(";
  for (auto &input : model->file->graph.inputs) {
    auto elem = onnx_import::elemOf(input.type);
    if (!elem || !input.shape)
      return refused("has the input `" + input.name + "`, " +
                     (elem ? "whose rank is not known" : std::string("of the type ") + onnx::name(input.type)));
    model->inputs.push_back(onnx_import::identifier(input.name, taken));
  }
  model->sizes = onnx_import::inputSizes(*model->file, taken);
  for (size_t k = 0; k < model->inputs.size(); ++k) {
    text += (k ? ", " : "") + model->inputs[k] + ": " + bigm::name(*onnx_import::elemOf(model->file->graph.inputs[k].type));
    for (size_t i = 0; i < model->sizes[k].size(); ++i)
      text += (i ? ", " : "[") + model->sizes[k][i].str();
    text += model->sizes[k].empty() ? "" : "]";
  }
  text += ") { 0 }\n";
  for (auto &tensor : model->file->graph.initializers)
    model->named.insert(tensor.name);
  std::set<std::string> takenOutputs;
  for (auto &output : model->file->graph.outputs)
    model->outputs.push_back(onnx_import::identifier(output.name, takenOutputs));
  model->tree = parseFile(sources, sources.add(from.path, text), diags);
  if (!model->tree || model->tree->decls.empty())
    return nullptr;
  auto &decl = static_cast<ast::CallableDecl &>(*model->tree->decls[0]);
  onnxModels[&decl] = model;
  reached.insert(&decl);
  auto instance = std::make_shared<Instance>();
  instance->path = d.name.text;
  instance->decl = &decl;
  instance->module = m;
  instance->settings = globalScope(m);
  instance->where = d.range;
  return instance;
}

void Checker::anyBatch(Pattern &declared, const Val &given) {
  if (given.is(Val::Kind::Tensor) && declared.kind == Pattern::Kind::Tensor && declared.sizes.size() > 1 &&
      !declared.sizes[0].pack && declared.sizes[0].dim == Dim(int64_t(1)) && given.type.shape.size() == declared.sizes.size())
    declared.sizes[0].dim = given.type.shape[0];
  // What was fitted for sizes that are not known yet may be more than the graph needs of known ones.
  for (size_t i = 0; given.is(Val::Kind::Tensor) && declared.kind == Pattern::Kind::Tensor && i < declared.sizes.size(); ++i)
    if (auto &d = declared.sizes[i]; !d.pack && i < given.type.shape.size() && given.type.shape[i].isConstant() &&
                                     !d.dim.isConstant() && !d.dim.asSymbol())
      d.dim = given.type.shape[i];
}

/// A number that the caller gives is known to the graph: it may decide branches and sizes.
static std::optional<onnx_import::Val> numberInput(Tensors &tensors, const Val &v, onnx::Type type) {
  if (v.is(Val::Kind::Int) && onnx_import::isInteger(type))
    return tensors.whole({v.integer}, {}, type);
  if (auto n = v.asNumber())
    return tensors.scalar(*n, type);
  return std::nullopt;
}

std::optional<std::vector<TensorType>> Checker::openInputs(const Instance &instance) const {
  auto found = onnxModels.find(instance.decl);
  if (found == onnxModels.end())
    return std::nullopt;
  const OnnxModel &model = *found->second;
  // An application that leaves open what the file does says as much, in the program's own names.
  std::map<std::string, std::string> names, back;
  bool asOpen = instance.inputs.size() == model.inputs.size();
  for (size_t i = 0; asOpen && i < model.inputs.size(); ++i)
    for (size_t d = 0; asOpen && instance.inputs[i].is(Val::Kind::Tensor) && d < model.sizes[i].size(); ++d)
      if (auto own = model.sizes[i][d].asSymbol(), given = instance.inputs[i].type.shape[d].asSymbol(); own)
        asOpen = given && names.try_emplace(*own, *given).first->second == *given && back.try_emplace(*given, *own).first->second == *own;
      else
        asOpen = model.sizes[i][d].isConstant();
  if (asOpen)
    return std::nullopt;
  Recorder scratch("open");
  onnx_import::NoStore store(scratch);
  Tensors tensors(scratch, store);
  Evaluation evaluation(*model.file, tensors);
  std::vector<TensorType> types;
  onnx_import::Vals inputs;
  for (size_t i = 0; i < model.inputs.size(); ++i) {
    onnx::Type type = model.file->graph.inputs[i].type;
    const Val *given = i < instance.inputs.size() ? &instance.inputs[i] : nullptr;
    types.push_back({*onnx_import::elemOf(type), model.sizes[i], 0});
    if (auto number = given ? numberInput(tensors, *given, type) : std::nullopt) {
      inputs.push_back(*number);
      continue;
    }
    std::vector<Dim> &shape = types.back().shape;
    if (given && given->is(Val::Kind::Tensor) && shape.size() > 1 && shape[0] == Dim(1))
      shape[0] = given->type.shape[0]; // a batch that the file does not mention
    inputs.push_back(tensors.recorded(scratch.input(model.inputs[i], types.back(), {}), type));
  }
  evaluation.run(inputs);
  return evaluation.problems.empty() ? std::optional(std::move(types)) : std::nullopt;
}

Val Checker::applyOnnx(OnnxModel &model, const std::shared_ptr<Instance> &instance, const ScopePtr &scope,
                       SourceRange where) {
  InstanceStore store(*this, *instance, model.constants, model.named, instance->where);
  Tensors tensors(*rec, store);
  Evaluation evaluation(*model.file, tensors);
  evaluation.training = training_;
  onnx_import::Vals inputs;
  for (size_t i = 0; i < model.inputs.size(); ++i) {
    const Val &v = scope->names[model.inputs[i]].value;
    onnx::Type type = model.file->graph.inputs[i].type;
    if (auto number = numberInput(tensors, v, type))
      inputs.push_back(*number);
    else if (v.is(Val::Kind::Tensor))
      inputs.push_back(tensors.recorded(v.tensor, type));
    else
      return {};
  }
  SourceRange savedWhere = std::exchange(rec->where, where);
  onnx_import::Vals results = evaluation.run(inputs);
  Val out;
  out.kind = Val::Kind::Record;
  if (evaluation.problems.empty()) {
    try {
      for (size_t i = 0; i < results.size(); ++i) {
        out.names.push_back(model.outputs[i]);
        out.items.push_back(tensorVal(tensors.use(results[i])));
      }
    } catch (const onnx_import::Refusal &r) {
      evaluation.problems.push_back({model.outputs[out.items.size()], "output", r.why, false});
    }
  }
  rec->where = savedWhere;
  // Given a batch that the file does not mention, its nodes must have carried it through to every output.
  auto leading = [](const onnx::Info &v) {
    return v.shape && v.shape->size() > 1 && std::holds_alternative<int64_t>(v.shape->front()) ? std::get<int64_t>(v.shape->front()) : -1;
  };
  std::optional<Dim> batch;
  for (size_t i = 0; i < model.inputs.size(); ++i)
    if (const Val &v = scope->names[model.inputs[i]].value;
        v.is(Val::Kind::Tensor) && leading(model.file->graph.inputs[i]) == 1 && v.type.shape[0] != Dim(int64_t(1)))
      batch = v.type.shape[0];
  for (size_t i = 0; batch && evaluation.problems.empty() && i < out.items.size(); ++i)
    if (out.items[i].type.shape.empty() || out.items[i].type.shape[0] != *batch) {
      instance->inputs.clear(); // alone it is built for what the file says, not for this call
      return fail(Diag::OnnxBatch, where, {model.path, batch->str(), model.outputs[i], out.items[i].type.str()},
                  "export it with a batch that is not fixed, or call it with one of 1");
    }
  if (evaluation.problems.empty())
    return out.items.size() == 1 ? out.items[0] : out;
  std::string all;
  for (auto &p : evaluation.problems)
    all += (all.empty() ? "" : "; ") + ("`" + p.node + "` (" + p.op + "): " + p.why);
  return fail(Diag::OnnxNodes, where, {model.path, all});
}

} // namespace bigm::sema
