// The whole program: which nodes are written, which parts of the graph repeat and become models of their own, and the text
// around them.
//
// A part is all nodes of one scope ("layers.0"). It can stand alone when one value leaves it and sizes that it names come in
// with its inputs. It is written once by itself; where two parts give the same text they are one model, applied twice.
#include "frontend/import/Import.h"
#include "frontend/import/Writer.h"
#include <algorithm>
#include <fmt/format.h>

namespace bigm {
using namespace writing;
namespace importer = sema::onnx_import;

namespace {

const std::set<std::string> &reservedWords() {
  static const std::set<std::string> words = {
      "use", "const", "data", "fit", "model", "fn", "flow", "train", "evaluate", "deploy", "and", "or", "not", "each", "when",
      "else", "repeat", "until", "for", "yield", "scan", "true", "false", "none", "pi", "training", "param", "state", "in", "i64",
      "i32", "u8", "i8", "f32", "f64", "f16", "bf16", "bool", "abs", "sign", "exp", "log", "log1p", "expm1", "sqrt", "rsqrt",
      "sin", "cos", "atan", "tanh", "erf", "sigmoid", "floor", "ceil", "round", "pow", "mod", "maximum", "minimum", "select",
      "sum", "mean", "prod", "max", "min", "argmax", "argmin", "reshape", "merge", "transpose", "flip", "concat", "stack",
      "pad", "broadcast", "full", "zeros_like", "ones_like", "iota", "random", "gather", "scatter_add", "warp", "resample",
      "attend", "size", "rank", "shape", "lead", "windows", "along", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu",
      "gelu_tanh", "silu", "softplus", "mish", "hard_sigmoid", "hard_swish", "softmax", "log_softmax", "max_pool",
      "avg_pool", "global_avg_pool", "global_max_pool", "flatten", "dropout", "attention", "convolve", "image_",
      "one_hot", "unit_length", "masked_mean", "scores_of", "text",
      "tokens", "pieces", "starts", "best", "tokenizer", "generate", "lengths", "present", "gradient", "stop_gradient", "random_like"};
  return words;
}

/// "/features/features.0/features.0.0/Conv" is "features.0.0": a part that the next one begins with is not said twice.
std::string scopeOf(const std::string &name) {
  std::vector<std::string> parts;
  size_t begin = 0;
  if (name.empty() || name[0] != '/')
    return "";
  for (size_t at = 1; at <= name.size(); ++at)
    if (at == name.size() || name[at] == '/') {
      parts.push_back(name.substr(begin + 1, at - begin - 1));
      begin = at;
    }
  parts.pop_back(); // the operator
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i)
    if (i + 1 == parts.size() || !parts[i + 1].starts_with(parts[i] + "."))
      out += (out.empty() ? "" : ".") + parts[i];
  return out;
}

std::string camel(const std::string &text) {
  std::string out;
  bool up = true;
  for (char c : text) {
    if (!isalnum((unsigned char)c)) {
      up = true;
      continue;
    }
    out += up ? char(toupper(c)) : c;
    up = false;
  }
  return out.empty() || isdigit((unsigned char)out[0]) ? "Net" + out : out;
}

class Importer {
public:
  Importer(const onnx::Model &model) : model(model) {}

  ImportedProgram run(const std::string &name, const std::string &weights, const std::string &source) {
    evaluate();
    if (out.problems.empty())
      findParts();
    if (out.problems.empty())
      write(name, weights, source);
    if (!out.problems.empty())
      out.text.clear();
    return std::move(out);
  }

private:
  void evaluate() {
    f.model = &model;
    auto opset = model.opsets.find("");
    f.opset = opset == model.opsets.end() ? importer::kNewestOpset : opset->second;
    f.reserved = reservedWords();
    for (const std::string letter : {"i", "j", "k", "n", "h", "g", "f", "o", "a", "b", "c", "d"})
      if (std::none_of(model.graph.inputs.begin(), model.graph.inputs.end(), [&](auto &input) { return input.name == letter; }))
        f.letters.push_back(letter);
    f.reserved.insert(f.letters.begin(), f.letters.end());
    importer::Tensors tensors(rec, store);
    f.rec = &rec;
    f.tensors = &store.all;
    importer::Evaluation evaluation(model, tensors);
    importer::Vals inputs;
    for (auto &input : model.graph.inputs)
      if (!importer::elemOf(input.type) || !input.shape)
        out.problems.push_back("the input `" + input.name + "`: its type or rank is not known");
    if (!out.problems.empty())
      return;
    auto sizes = importer::inputSizes(model, f.reserved);
    for (size_t i = 0; i < sizes.size(); ++i) {
      const onnx::Info &input = model.graph.inputs[i];
      inputs.push_back(tensors.recorded(rec.input(input.name, {*importer::elemOf(input.type), sizes[i], 0}, {}), input.type));
      f.values[input.name] = inputs.back();
    }
    std::vector<Seen> all;
    evaluation.seen = [&](const onnx::Node &node, const Vals &in, const Vals &results) {
      all.push_back({&node, in, results, scopeOf(node.name)});
    };
    for (const onnx::Tensor &t : model.graph.initializers)
      f.values[t.name] = tensors.fromFile(std::shared_ptr<const onnx::Tensor>(std::shared_ptr<const void>(), &t), false);
    evaluation.run(inputs);
    for (auto &p : evaluation.problems)
      out.problems.push_back("`" + p.node + "` (" + p.op + "): " + p.why);
    if (!out.problems.empty())
      return;
    // From the outputs back: what is known, or another name for something, is not written.
    for (Seen &seen : all)
      for (size_t i = 0; i < seen.out.size() && i < seen.node->outputs.size(); ++i)
        f.values[seen.node->outputs[i]] = seen.out[i];
    for (auto &[name, v] : f.values)
      if (v.value)
        f.byValue.emplace(*v.value, name);
    auto isKnown = [](const Val &v) { return v.known || (v.file && !v.value); };
    for (Seen &seen : all) {
      const std::string &op = seen.node->op;
      bool same = op == "Identity" || op == "Dropout" || (op == "Cast" && !seen.in.empty() && seen.in[0].type == seen.out[0].type);
      if (same && !isKnown(seen.out[0]))
        f.alias[seen.node->outputs[0]] = seen.node->inputs[0];
    }
    for (auto &output : model.graph.outputs)
      ++f.uses[f.resolve(output.name)];
    std::vector<Seen> written;
    for (size_t n = all.size(); n-- > 0;) {
      Seen &seen = all[n];
      bool read = false, known = true;
      for (size_t i = 0; i < seen.node->outputs.size(); ++i) {
        read |= f.uses.count(seen.node->outputs[i]) != 0;
        known &= i >= seen.out.size() || isKnown(seen.out[i]);
      }
      if (!read || known || f.alias.count(seen.node->outputs[0]))
        continue;
      for (size_t i = 0; i < seen.node->inputs.size(); ++i)
        if (!seen.node->inputs[i].empty())
          ++f.uses[f.resolve(seen.node->inputs[i])];
      written.push_back(seen);
    }
    f.nodes.assign(written.rbegin(), written.rend());
    for (size_t n = 0; n < f.nodes.size(); ++n)
      for (const std::string &output : f.nodes[n].node->outputs)
        f.maker[output] = n;
  }

  // ------------------------------------------------------------ parts

  void findParts() {
    std::map<std::string, std::vector<size_t>> scopes;
    for (size_t n = 0; n < f.nodes.size(); ++n) {
      const std::string &scope = f.nodes[n].scope;
      for (size_t dot = scope.find('.');; dot = scope.find('.', dot + 1)) {
        if (!scope.empty())
          scopes[scope.substr(0, dot)].push_back(n);
        if (dot == std::string::npos)
          break;
      }
    }
    // The inner ones first.
    std::vector<std::string> order;
    for (auto &[scope, nodes] : scopes)
      if (nodes.size() >= 3)
        order.push_back(scope);
    auto depth = [](const std::string &s) { return std::count(s.begin(), s.end(), '.'); };
    std::stable_sort(order.begin(), order.end(), [&](auto &a, auto &b) { return depth(a) > depth(b); });
    for (size_t first = 0; first < order.size();) {
      size_t last = first;
      std::map<std::string, std::vector<Part>> alike;
      std::map<std::string, std::vector<std::string>> at;
      for (; last < order.size() && depth(order[last]) == depth(order[first]); ++last) {
        Part part;
        part.nodes = scopes[order[last]];
        std::string text = alone(order[last], part);
        if (text.empty())
          continue;
        alike[text].push_back(std::move(part));
        at[text].push_back(order[last]);
      }
      first = last;
      // In the order of the file.
      std::vector<std::string> texts;
      for (auto &[text, parts] : alike)
        if (parts.size() > 1)
          texts.push_back(text);
      std::sort(texts.begin(), texts.end(), [&](auto &a, auto &b) { return alike[a][0].nodes[0] < alike[b][0].nodes[0]; });
      for (const std::string &text : texts) {
        std::string word = at[text][0];
        while (!word.empty() && (isdigit((unsigned char)word.back()) || word.back() == '.'))
          word.pop_back();
        size_t dot = word.rfind('.');
        std::string wish = camel(dot == std::string::npos ? word : word.substr(dot + 1)), model = wish;
        for (int n = 2; !models.insert(model).second; ++n)
          model = wish + std::to_string(n);
        declarations += "model " + model + text + "\n";
        for (size_t i = 0; i < alike[text].size(); ++i) {
          alike[text][i].region.model = model;
          parts[at[text][i]] = std::move(alike[text][i]);
        }
      }
    }
  }

  /// The text of a part as a model, from its parameters on; empty when it cannot be one.
  std::string alone(const std::string &scope, Part &part) {
    Region &region = part.region;
    std::set<size_t> inside(part.nodes.begin(), part.nodes.end());
    std::set<std::string> made;
    bool weighs = false;
    for (size_t n : part.nodes)
      for (const std::string &output : f.nodes[n].node->outputs)
        made.insert(output);
    for (size_t n : part.nodes)
      for (size_t i = 0; i < f.nodes[n].node->inputs.size(); ++i) {
        const std::string &name = f.resolve(f.nodes[n].node->inputs[i]);
        const Val *v = f.nodes[n].in[i].some() ? &f.nodes[n].in[i] : nullptr;
        weighs |= v && v->file && v->learnable && !v->value;
        bool given = !name.empty() && v && !made.count(name) && !(v->known || (v->file && !v->value));
        if (given && std::find(region.inputs.begin(), region.inputs.end(), name) == region.inputs.end())
          region.inputs.push_back(name);
      }
    std::map<std::string, int> insideUses;
    for (size_t n : part.nodes)
      for (const std::string &input : f.nodes[n].node->inputs)
        ++insideUses[f.resolve(input)];
    for (const std::string &name : made)
      if (auto uses = f.uses.find(name); uses != f.uses.end() && uses->second > insideUses[name]) {
        if (!region.output.empty())
          return "";
        region.output = name;
      }
    if (!weighs || region.output.empty() || region.inputs.empty() || region.inputs.size() > 4)
      return "";
    Body body(f, scope);
    if (!insideUses[region.output])
      body.last = region.output;
    std::string head;
    std::set<std::string> bound, named;
    for (const std::string &input : region.inputs) {
      const Val &v = f.values.at(input);
      for (const Dim &d : v.shape)
        if (auto symbol = d.asSymbol())
          bound.insert(*symbol);
      head += (head.empty() ? "" : ", ") + body.input(input, "x") + ": " + typeOf(v);
    }
    auto noted = [&](const std::vector<Dim> &shape) {
      for (const Dim &d : shape) {
        std::vector<std::string> symbols;
        d.symbols(symbols);
        named.insert(symbols.begin(), symbols.end());
      }
    };
    for (size_t n : part.nodes)
      for (const Val &v : f.nodes[n].out)
        noted(v.shape);
    for (const std::string &input : region.inputs)
      noted(f.values.at(input).shape);
    if (!std::includes(bound.begin(), bound.end(), named.begin(), named.end()))
      return "";
    body.write(part.nodes, parts);
    if (!body.problems.empty())
      return ""; // told where it is written out
    std::string result;
    try {
      result = body.result(region.output);
    } catch (const Unwritable &) {
      return "";
    }
    region.weights = body.weights;
    return "()(" + head + ") -> " + typeOf(f.values.at(region.output)) + " {\n" + body.text(result) + "  " + result + "\n}\n";
  }

  static std::string typeOf(const Val &v) {
    return bigm::name(*importer::elemOf(v.type)) + (v.shape.empty() ? std::string("[]") : listOf(v.shape));
  }

  // ------------------------------------------------------------ the program
  void write(const std::string &name, const std::string &weights, const std::string &source) {
    Body body(f, "");
    std::string head;
    for (auto &input : model.graph.inputs)
      head += (head.empty() ? "" : ", ") + body.input(input.name, importer::wordOf(input.name, "x")) + ": " + typeOf(f.values.at(input.name));
    std::vector<size_t> all(f.nodes.size());
    for (size_t n = 0; n < all.size(); ++n)
      all[n] = n;
    body.write(all, parts);
    std::string result, type;
    try {
      auto &outputs = model.graph.outputs;
      for (auto &output : outputs) {
        const Val &v = f.values.at(f.resolve(output.name));
        if (v.known || (v.file && !v.value))
          throw Unwritable{"the output `" + output.name + "` does not depend on the inputs"};
        std::string field = importer::wordOf(output.name, "output");
        result += outputs.size() == 1 ? body.result(output.name) : (result.empty() ? "{ " : ", ") + field + ": " + body.use(output.name, Pipe).text;
        type += outputs.size() == 1 ? typeOf(v) : (type.empty() ? "{ " : ", ") + field + ": " + typeOf(v);
      }
      result += outputs.size() == 1 ? "" : " }";
      type += outputs.size() == 1 ? "" : " }";
    } catch (const Unwritable &e) {
      body.problems.push_back(e.why);
    }
    out.problems = body.problems;
    bool recurs = std::any_of(f.nodes.begin(), f.nodes.end(), [](const Seen &s) {
      return s.node->op == "LSTM" || s.node->op == "GRU" || s.node->op == "RNN";
    });
    std::string own = camel(name);
    while (models.count(own) || own == name)
      own += "Net";
    out.text = fmt::format("# Imported from {}{}.\nuse std.nn{}\n\n{}model {}()({}) -> {} {{\n{}  {}\n}}\n\nmodel {} = {}() from pretrained(\"{}\")\n",
                           source, model.producer.empty() ? "" : ", which " + model.producer + " wrote", recurs ? ", std.sequence" : "", declarations, own, head,
                           type, body.text(result), result, name, own, weights);
    for (const Weight &w : body.weights)
      out.tensors.push_back({w.name, w.elem, w.shape, w.bytes()});
  }

  const onnx::Model &model;
  sema::Recorder rec{"import"};
  importer::NoStore store{rec};
  Facts f;
  std::set<std::string> models = {"Linear", "Conv2d", "BatchNorm", "LayerNorm", "ConvNorm", "InvertedResidual", "Attention",
                                  "Embedding", "Dropout", "RMSNorm", "GroupedAttention", "SwiGLU", "LlamaBlock", "Llama",
                                  "LSTM", "GRU", "RNN", "BiLSTM", "BiGRU"};
  std::string declarations;
  ImportedProgram out;
  std::map<std::string, Part> parts;
};
} // namespace

ImportedProgram importOnnx(const onnx::Model &model, const std::string &name, const std::string &weights, const std::string &source) {
  return Importer(model).run(name, weights, source);
}

} // namespace bigm
