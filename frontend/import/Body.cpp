// Names, pieces of text, weights: what all operators are written with.
#include "frontend/import/Writer.h"
#include "frontend/sema/OnnxFold.h"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bigm::writing {
using sema::onnx_import::elemOf;
using sema::onnx_import::isFloat;

const std::string &Facts::resolve(const std::string &name) const {
  auto found = alias.find(name);
  return found == alias.end() ? name : resolve(found->second);
}

std::string listOf(const std::vector<int64_t> &numbers) {
  std::string out = "[";
  for (size_t i = 0; i < numbers.size(); ++i)
    out += (i ? ", " : "") + std::to_string(numbers[i]);
  return out + "]";
}
std::string listOf(const std::vector<Dim> &dims) {
  std::string out = "[";
  for (size_t i = 0; i < dims.size(); ++i)
    out += (i ? ", " : "") + dims[i].str();
  return out + "]";
}
std::string numberText(double x) {
  if (!std::isfinite(x))
    throw Unwritable{"a number that is infinite or none, which the language has no word for"};
  return float(x) == x ? fmt::format("{}", float(x)) : fmt::format("{}", x);
}

std::string Weight::bytes() const {
  std::string all = own;
  if (file) {
    std::string_view view = file->bytes.view;
    all.assign(view.begin(), view.end());
  }
  if (!transposed)
    return all;
  size_t rows = size_t(shape[0]), columns = size_t(shape[1]), each = all.size() / (rows * columns);
  std::string turned(all.size(), 0); // `shape` is the one after turning
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c)
      turned.replace((r * columns + c) * each, each, all, (c * rows + r) * each, each);
  return turned;
}

// ---------------------------------------------------------------- names

std::string Body::fresh(const std::string &wish) {
  std::string name = wish;
  for (int n = 2; !taken.insert(name).second; ++n)
    name = wish + "_" + std::to_string(n);
  return name;
}

std::string Body::local(const std::string &dotted, const std::string &otherwise) const {
  std::string rest = dotted;
  if (!prefix.empty() && dotted.starts_with(prefix + "."))
    rest = dotted.substr(prefix.size() + 1);
  else if (dotted == prefix)
    rest.clear();
  std::string out;
  for (char c : rest)
    out += isalnum((unsigned char)c) ? char(tolower(c)) : '_';
  while (!out.empty() && out.back() == '_')
    out.pop_back();
  out.erase(0, std::min(out.find_first_not_of('_'), out.size()));
  if (out.empty() || out.find_first_not_of("0123456789_") == std::string::npos)
    return out.empty() ? otherwise : otherwise + "_" + out;
  return isdigit((unsigned char)out[0]) ? otherwise + "_" + out : out;
}

std::string Body::input(const std::string &name, const std::string &wish) {
  std::string own = fresh(wish);
  pieces[name] = {own, Atom};
  return own;
}

std::string Body::statement(const Seen &seen, const std::string &text) {
  std::string name = fresh(local(seen.scope, "x"));
  statements.push_back(name + " = " + text);
  return name;
}

void Body::give(const Seen &seen, size_t output, std::string text, Level level) {
  const std::string &name = seen.node->outputs[output];
  auto uses = f.uses.find(name);
  if (uses == f.uses.end())
    return;
  if (name == last || (uses->second == 1 && text.size() < 600))
    pieces[name] = {std::move(text), level};
  else
    pieces[name] = {statement(seen, text), Atom};
}

bool isName(const std::string &text) {
  bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) { return isalnum(c) || c == '_' || c == '.'; });
  return plain && !text.empty() && !isdigit((unsigned char)text[0]);
}

std::string Body::simple(const Seen &seen, const std::string &name) {
  std::string text = use(name, Pipe).text;
  return isName(text) ? text : statement(seen, text);
}
std::string Body::piped(const std::string &name) {
  return use(name, Pipe).text;
}
void Body::pipe(const Seen &seen, const std::string &call) {
  std::string text = piped(in(seen, 0));
  size_t line = text.rfind('\n');
  bool full = text.size() - (line == std::string::npos ? 0 : line) + call.size() > 84;
  give(seen, 0, text + (full ? "\n |> " : " |> ") + call, Pipe);
}

// ---------------------------------------------------------------- values

Piece Body::literal(const Val &v) const {
  const Number &n = (*v.known)[0];
  if (v.type == onnx::Type::Bool)
    return {n.whole == Dim(0) ? "false" : "true", Atom};
  if (!isFloat(v.type)) {
    auto number = n.whole.constant();
    return {n.whole.str(), number ? *number < 0 ? Negate : Atom : n.whole.asSymbol() ? Atom : Add};
  }
  return {numberText(n.real), n.real < 0 ? Negate : Atom};
}

std::optional<Piece> Body::splat(const Val &v) const {
  if (!v.known || v.learnable || v.known->empty())
    return std::nullopt;
  for (const Number &n : *v.known)
    if (!(n.whole == (*v.known)[0].whole) || n.real != (*v.known)[0].real || !std::isfinite(n.real))
      return std::nullopt;
  return literal(v);
}

Weight Body::fileWeight(const Val &v, bool transposed) const {
  Weight w{"", *elemOf(v.type), v.file->shape, v.file, transposed, {}};
  if (transposed)
    std::swap(w.shape[0], w.shape[1]);
  return w;
}

std::string Body::parameter(const Val &v, const std::string &name) {
  auto found = held.find(v.file.get());
  if (found != held.end())
    return found->second;
  std::string wish = local(name, "weight");
  Weight w = fileWeight(v);
  if (w.elem != Elem::F32 && w.elem != Elem::F64 && w.elem != Elem::F16 && w.elem != Elem::BF16)
    return held[v.file.get()] = onnx::bitsOf(v.type) == 8 * sema::onnx_import::sizeOf(w.elem)
                                    ? converted(v.file->bytes.view, w.elem, w.shape, wish)
                                    : converted(sema::onnx_import::widened(*v.file, w.elem), w.elem, w.shape, wish);
  w.name = fresh(wish);
  lines.push_back(fmt::format("{} {}: {}{} = 0", v.learnable ? "param" : "state", w.name, bigm::name(w.elem), listOf(w.shape)));
  weights.push_back(w);
  return held[v.file.get()] = w.name;
}

std::string Body::table(const Val &v, const std::string &wish) {
  bool real = isFloat(v.type);
  Weight w{fresh(wish), real ? *elemOf(v.type) : Elem::F32, {}, nullptr, false, {}};
  for (const Dim &d : v.shape)
    if (auto n = d.constant())
      w.shape.push_back(*n);
    else
      throw Unwritable{"a table whose size is not known"};
  if (w.elem != Elem::F32)
    throw Unwritable{std::string("a table of ") + bigm::name(w.elem)};
  for (const Number &n : *v.known) {
    auto whole = n.whole.constant();
    if (!real && (!whole || std::abs(*whole) > (1 << 24)))
      throw Unwritable{"a table of integers that depend on a size, or are above 2^24"};
    float x = real ? float(n.real) : float(*whole);
    w.own.append(reinterpret_cast<const char *>(&x), sizeof x);
  }
  lines.push_back(fmt::format("state {}: f32{} = 0", w.name, listOf(w.shape)));
  weights.push_back(w);
  if (v.type == onnx::Type::Bool)
    return "(" + w.name + " != 0)";
  return real ? w.name : fmt::format("{}({})", bigm::name(*elemOf(v.type)), w.name);
}

Piece Body::use(const std::string &given, Level least) {
  const std::string &name = f.resolve(given);
  auto found = pieces.find(name);
  if (found == pieces.end()) {
    const Val &v = f.values.at(name);
    Piece out;
    if (v.known && !v.learnable && v.shape.empty() && splat(v))
      out = literal(v);
    else if (v.file && !v.value)
      out = {parameter(v, given), Atom};
    else if (v.known && v.shape.size() == 1 && !isFloat(v.type) && v.type != onnx::Type::Bool && v.known->size() > 2 &&
             [&] {
               for (size_t i = 0; i < v.known->size(); ++i)
                 if (!((*v.known)[i].whole == Dim(int64_t(i))))
                   return false;
               return true;
             }())
      out = {fmt::format("{}(iota({}))", bigm::name(*elemOf(v.type)), v.known->size()), Atom};
    else if (v.known)
      pieces[name] = out = {table(v, local("", "table")), Atom};
    else
      throw Unwritable{"`" + name + "` is not written"};
    return out.level < least ? Piece{"(" + out.text + ")", Atom} : out;
  }
  Piece &p = found->second;
  if (p.level == Atom || least == Pipe)
    return p;
  bool isLong = p.text.size() > 44 || p.level == Pipe;
  if (isLong)
    p = {statement(f.nodes[f.maker.at(name)], p.text), Atom};
  return p.level < least ? Piece{"(" + p.text + ")", Atom} : p;
}

std::string Body::instance(const Seen &seen, const std::string &weight, const std::string &kind, const std::string &call,
                           const std::vector<std::pair<std::string, Weight>> &its) {
  // The same tensors are the same layer. All of them: exporters write equal tensors once, so that two layers may have one scale, of
  // ones, and each its own statistics.
  std::string key = call + "\n" + weight;
  for (auto &[part, w] : its)
    key += fmt::format("\n{} {}{}", part, static_cast<const void *>(w.file.get()), w.own);
  auto found = instances.find(key);
  if (found != instances.end())
    return found->second;
  // "layer1.0.conv1.weight" says more than a node's name, which says more than nothing.
  std::string dotted = seen.scope;
  size_t end = weight.rfind('.');
  if (end != std::string::npos && weight.find("::") == std::string::npos && weight.find('/') == std::string::npos)
    dotted = weight.substr(0, end);
  std::string name = fresh(local(dotted, kind));
  lines.push_back(name + " = " + call);
  for (auto [part, w] : its) {
    w.name = name + "." + part;
    if (w.file && !w.transposed)
      held.emplace(w.file.get(), w.name);
    weights.push_back(std::move(w));
  }
  return instances[key] = name;
}

void Body::apply(const Region &region, const std::string &scope) {
  std::string own = fresh(local(scope, "part"));
  lines.push_back(own + " = " + region.model + "()");
  for (Weight w : region.weights) {
    w.name = own + "." + w.name;
    weights.push_back(std::move(w));
  }
  const Seen &maker = f.nodes[f.maker.at(region.output)];
  std::string text;
  if (region.inputs.size() == 1) {
    text = piped(region.inputs[0]);
    size_t line = text.rfind('\n');
    text += (text.size() - (line == std::string::npos ? 0 : line) + own.size() > 84 ? "\n |> " : " |> ") + own;
  } else {
    for (const std::string &input : region.inputs)
      text += (text.empty() ? own + "(" : ", ") + use(input, Or).text;
    text += ")";
  }
  for (size_t i = 0; i < maker.node->outputs.size(); ++i)
    if (maker.node->outputs[i] == region.output)
      give(maker, i, text, region.inputs.size() == 1 ? Pipe : Atom);
}

/// The words of a text: names, and parts of names behind dots.
static void addWords(const std::string &text, std::set<std::string> &to) {
  auto inWord = [](unsigned char c) { return isalnum(c) || c == '_' || c >= 0x80; };
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && inWord(text[end]))
      ++end;
    if (end > i)
      to.insert(text.substr(i, end - i));
    i = std::max(end, i + 1);
  }
}

// What a layer takes without reading it, as zeros to begin with, was written before that was known. What applies an instance or a
// parameter stays: the file of weights has these.
std::string Body::text(const std::string &result) const {
  std::set<std::string> read, owned;
  addWords(result, read);
  for (const std::string &line : lines) { // `name = Layer(8)`, `param name: f32[8] = 0`
    size_t start = line.starts_with("param ") || line.starts_with("state ") ? 6 : 0;
    owned.insert(line.substr(start, line.find_first_of(" :", start) - start));
  }
  std::vector<const std::string *> kept;
  for (auto line = statements.rbegin(); line != statements.rend(); ++line) {
    size_t end = line->find(" = ");
    std::string name = end == line->npos ? "" : line->substr(0, end);
    std::set<std::string> words;
    addWords(*line, words);
    if (isName(name) && !read.count(name) && std::none_of(words.begin(), words.end(), [&](auto &w) { return owned.count(w) != 0; }))
      continue;
    read.merge(words);
    kept.push_back(&*line);
  }
  std::string out;
  for (const std::string &line : lines)
    out += "  " + line + "\n";
  for (auto line = kept.rbegin(); line != kept.rend(); ++line)
    out += "  " + **line + "\n";
  return out;
}

// ---------------------------------------------------------------- what a node says

const std::string &Body::in(const Seen &seen, size_t i) const {
  if (i >= seen.node->inputs.size() || seen.node->inputs[i].empty())
    throw Unwritable{"operand " + std::to_string(i) + " is left out"};
  return seen.node->inputs[i];
}
const onnx::Attribute *Body::attribute(const Seen &seen, const char *name) const {
  auto found = seen.node->attributes.find(name);
  return found == seen.node->attributes.end() ? nullptr : &found->second;
}
int64_t Body::integer(const Seen &seen, const char *name, int64_t otherwise) const {
  auto *a = attribute(seen, name);
  return a ? a->integer : otherwise;
}
double Body::real(const Seen &seen, const char *name, double otherwise) const {
  auto *a = attribute(seen, name);
  return a ? double(a->real) : otherwise;
}
std::string Body::word(const Seen &seen, const char *name, const std::string &otherwise) const {
  auto *a = attribute(seen, name);
  return a ? a->text : otherwise;
}
std::vector<int64_t> Body::integers(const Seen &seen, const char *name) const {
  auto *a = attribute(seen, name);
  return a ? a->integers : std::vector<int64_t>();
}
std::optional<std::vector<int64_t>> Body::either(const Seen &seen, const char *name, size_t i) const {
  if (has(seen, i)) {
    if (!seen.in[i].known)
      throw Unwritable{std::string("`") + name + "` is not known"};
    std::vector<int64_t> out;
    for (const Number &n : *seen.in[i].known)
      if (auto whole = n.whole.constant())
        out.push_back(*whole);
      else
        throw Unwritable{std::string("`") + name + "` depends on a size"};
    return out;
  }
  auto *a = attribute(seen, name);
  if (!a)
    return std::nullopt;
  return a->kind == onnx::Attribute::Kind::Int ? std::vector<int64_t>{a->integer} : a->integers;
}

const Seen *Body::onlyReader(const std::string &name) const {
  auto uses = f.uses.find(name);
  if (uses == f.uses.end() || uses->second != 1)
    return nullptr;
  for (size_t i = f.maker.at(name) + 1; i < f.nodes.size(); ++i)
    for (const std::string &input : f.nodes[i].node->inputs)
      if (f.resolve(input) == name)
        return &f.nodes[i];
  return nullptr;
}

void Body::write(const std::vector<size_t> &nodes, const std::map<std::string, Part> &parts) {
  for (size_t n : nodes) {
    const Seen &seen = f.nodes[n];
    // The outermost part below this body's own scope.
    const std::pair<const std::string, Part> *of = nullptr;
    for (size_t dot = seen.scope.find('.');; dot = seen.scope.find('.', dot + 1)) {
      std::string scope = seen.scope.substr(0, dot);
      auto found = scope != prefix && (prefix.empty() || scope.starts_with(prefix + ".")) ? parts.find(scope) : parts.end();
      if (found != parts.end() && !of)
        of = &*found;
      if (dot == std::string::npos)
        break;
    }
    if (!of) {
      write(seen);
    } else if (n == f.maker.at(of->second.region.output)) {
      try {
        apply(of->second.region, of->first);
      } catch (const Unwritable &e) {
        problems.push_back("`" + of->first + "`: " + e.why);
      }
    }
  }
}

void Body::write(const Seen &seen) {
  if (done.count(seen.node))
    return;
  try {
    auto found = operators().find(seen.node->op);
    if (found == operators().end() || !seen.node->domain.empty())
      return recorded(seen);
    try {
      (this->*found->second)(seen);
    } catch (const Unwritable &first) {
      try {
        recorded(seen);
      } catch (const Unwritable &) {
        throw first;
      }
    }
  } catch (const Unwritable &e) {
    problems.push_back("`" + (seen.node->name.empty() ? seen.node->outputs[0] : seen.node->name) + "` (" + seen.node->op +
                       "): " + e.why);
    for (const std::string &output : seen.node->outputs)
      pieces[output] = {"?", Atom};
  }
}

} // namespace bigm::writing
