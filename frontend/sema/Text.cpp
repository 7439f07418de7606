// Text: what the data loader makes of it, and the tokenizers that say how.
//
// A text never enters compiled code. `tokens(line, vocabulary)` is a step of the loader that gives a tensor of ids, which
// is an input of every function that uses it; everything after it is compiled. The steps stand in DataProgram::host, one
// for each field, tokenizer and length; `tokens` asked twice for the same is one step.
#include "Flow.h"
#include <algorithm>
#include <stdexcept>

namespace bigm::sema {

std::optional<int64_t> Checker::countSetting(const Given *arg, const std::string &what) {
  auto n = arg->value.asNumber();
  if (!n || *n < 1 || *n != double(int64_t(*n))) {
    if (!arg->value.poison())
      fail(Diag::CountSetting, arg->where, {what, describe(arg->value)});
    return std::nullopt;
  }
  return int64_t(*n);
}

std::optional<Checker::TokenLimits> Checker::tokenLimits(const BuiltinCall &call) {
  TokenLimits limits;
  if (call.args[2] && call.args[3]) {
    fail(Diag::TokensTwoLengths, call.args[3]->where, {call.builtin->name});
    return std::nullopt;
  }
  for (int i : {2, 3})
    if (call.args[i]) {
      auto n = countSetting(call.args[i], i == 2 ? "at_most" : "length");
      if (!n)
        return std::nullopt;
      (i == 2 ? limits.atMost : limits.length) = *n;
    }
  if (const Given *special = call.args[4]) {
    if (!special->value.is(Val::Kind::Bool)) {
      fail(Diag::ArgumentKind, special->where, {call.builtin->name, "special", "true or false", describe(special->value)});
      return std::nullopt;
    }
    limits.special = special->value.boolean;
  }
  if (const Given *around = call.args.size() > 5 ? call.args[5] : nullptr) {
    const std::string &text = around->value.text;
    if (!around->value.is(Val::Kind::String) || text.find("{}") == text.npos || text.find("{}") != text.rfind("{}")) {
      fail(Diag::ArgumentKind, around->where, {call.builtin->name, "around", "a text with one `{}`, where what is given stands",
                                               around->value.is(Val::Kind::String) ? "`\"" + text + "\"`" : describe(around->value)});
      return std::nullopt;
    }
    limits.around = text;
  }
  return limits;
}

bool Checker::needTokenizer(const Given &by, const std::string &what) {
  if (!by.value.is(Val::Kind::Tokenizer)) {
    fail(Diag::TokensNeedText, by.where, {what, "a vocabulary or a tokenizer", describe(by.value)},
         flow || what == "pieces" ? "for example `const words = tokenizer(\"tokenizer.json\")` and `" + what + "(" + (flow ? "text" : "sentence.word") + ", words)`"
                                  : "for example `fit vocabulary = words(data.train.line)`");
    return false;
  }
  if (by.value.text.empty()) {
    fail(Diag::TokenizerWithoutName, by.where, {}, "write `const subwords = tokenizer(\"tokenizer.json\")`");
    return false;
  }
  return true;
}

Checker::DataSet &Checker::dataSetOf(const Val &field) {
  for (auto &[decl, known] : dataSets)
    if (known->index == field.data)
      return *known;
  throw std::logic_error("a field of no data set");
}

std::optional<Dim> Checker::raggedLength(DataSet &set, const std::string &output, SourceRange where) {
  // The rows of a batch are as long as its longest; the dimension is called as the field's type calls it.
  std::string symbol;
  for (auto &[name, owner] : set.raggeds)
    if (owner == output && (raggedName.empty() || raggedName == name || symbol.empty()))
      symbol = name;
  if (symbol.empty()) {
    symbol = raggedName.empty() ? "T" : raggedName;
    if (!raggedName.empty() && set.raggeds.count(symbol)) {
      std::string owner = set.raggeds[symbol];
      fail(Diag::LengthNameTaken, where, {symbol, owner.substr(0, owner.find('.'))}, "give it a name of its own, such as `S`");
      return std::nullopt;
    }
    for (int n = 2; set.raggeds.count(symbol); ++n)
      symbol = "T" + std::to_string(n);
    set.raggeds[symbol] = output;
  }
  return Dim::symbol(symbol);
}

Val Checker::idsOf(const Val &text, HostStep step, const Dim &length, SourceRange where) {
  DataProgram &data = program->data[text.data];
  bool known = std::any_of(data.host.begin(), data.host.end(), [&](const HostStep &s) { return s.output == step.output; });
  std::string output = step.output;
  if (!known)
    data.host.push_back(std::move(step));
  Val v = fieldInput(text.data, output, {Elem::I32, {Dim::symbol("N"), length}}, where);
  v.host = output;
  v.data = text.data;
  return v;
}

static HostStep tokensStep(const Val &text, const Val &by, const Checker::TokenLimits &limits) {
  HostStep step;
  step.input = text.text;
  step.tokenizer = by.text;
  step.atMost = limits.atMost;
  step.length = limits.length;
  step.special = limits.special;
  step.output = step.input + "." + step.tokenizer;
  if (limits.atMost)
    step.output += ".at_most" + std::to_string(limits.atMost);
  if (limits.length)
    step.output += "." + std::to_string(limits.length);
  step.output += limits.special ? "" : ".plain";
  if (!limits.around.empty()) {
    step.settings.options["around"] = limits.around;
    uint32_t hash = 2166136261u; // FNV-1a: texts in other words are other tensors, of the same name in every build
    for (char c : limits.around)
      hash = (hash ^ uint8_t(c)) * 16777619u;
    step.output += ".around" + std::to_string(hash);
  }
  return step;
}

Val Checker::builtinTokens(const BuiltinCall &call) {
  if (flow)
    return flowTokens(call);
  const Given *text = call.args[0], *by = call.args[1];
  if (!text->value.is(Val::Kind::Text))
    return fail(Diag::TokensNeedText, text->where, {"tokens", "text", describe(text->value)});
  auto limits = needTokenizer(*by, "tokens") ? tokenLimits(call) : std::nullopt;
  if (!limits)
    return {};
  HostStep step = tokensStep(text->value, by->value, *limits);
  // A text of the elements of a list: one id each, in a tensor beside the list's other parts.
  step.each = !text->value.host.empty();
  for (int i : {2, 3, 4, 5})
    if (step.each && call.args[i])
      return fail(Diag::TokensOfElements, call.args[i]->where, {text->value.text},
                  "`pieces(" + text->value.text + ", " + by->value.text + ")` has all ids of the elements, one behind the other");
  DataSet &set = dataSetOf(text->value);
  std::optional<Dim> length = Dim(step.length);
  if (step.each)
    length = set.lists.at(text->value.host);
  else if (step.length == 0)
    length = raggedLength(set, step.output, call.where);
  step.outputs = {step.output, step.output + ".length"};
  return length ? idsOf(text->value, step, *length, call.where) : Val{};
}

/// pieces(list.word, by, at_most?, length?, special?): the ids of all elements of a list, one behind the other.
Val Checker::builtinPieces(const BuiltinCall &call) {
  if (flow)
    return flowPieces(call);
  const Given *text = call.args[0], *by = call.args[1];
  if (!text->value.is(Val::Kind::Text) || text->value.host.empty())
    return fail(Diag::PiecesNeedList, text->where, {describe(text->value)},
                text->value.is(Val::Kind::Text) ? "the ids of a whole text are `tokens(" + text->value.text + ", " + by->value.text + ")`" : "");
  auto limits = needTokenizer(*by, "pieces") ? tokenLimits(call) : std::nullopt;
  if (!limits)
    return {};
  HostStep step = tokensStep(text->value, by->value, *limits);
  step.op = "pieces";
  step.each = true;
  step.output += ".pieces";
  std::optional<Dim> length = Dim(step.length);
  if (step.length == 0)
    length = raggedLength(dataSetOf(text->value), step.output, call.where);
  step.outputs = {step.output, step.output + ".length", step.output + ".starts", step.output + ".starts.length"};
  return length ? idsOf(text->value, step, *length, call.where) : Val{};
}

/// starts(ids): where the ids of each element begin, of ids that `pieces` made.
Val Checker::builtinStarts(const BuiltinCall &call) {
  const Given *ids = call.args[0];
  if (flow) {
    auto known = ids->value.is(Val::Kind::Tensor) ? flow->starts.find(ids->value.tensor) : flow->starts.end();
    return known == flow->starts.end() ? fail(Diag::NotFromPieces, ids->where, {describe(ids->value)}) : tensorVal(known->second);
  }
  const HostStep *made = nullptr;
  if (ids->value.is(Val::Kind::Tensor) && !ids->value.host.empty())
    for (const HostStep &s : program->data[ids->value.data].host)
      if (s.op == "pieces" && s.output == ids->value.host)
        made = &s;
  if (!made)
    return fail(Diag::NotFromPieces, ids->where, {describe(ids->value)});
  DataSet &set = dataSetOf(ids->value);
  std::string output = made->outputs[2], list = made->input.substr(0, made->input.find('.'));
  Val v = fieldInput(ids->value.data, output, {Elem::I32, {Dim::symbol("N"), set.lists.at(list)}}, call.where);
  v.host = output;
  v.data = ids->value.data;
  return v;
}

Val Checker::builtinLengths(const BuiltinCall &call) {
  if (flow)
    return flowLengths(call);
  const Given *ids = call.args[0];
  if ((!ids->value.is(Val::Kind::Tensor) && !ids->value.is(Val::Kind::Record)) || ids->value.host.empty())
    return fail(Diag::NotFromText, ids->where, {call.builtin->name, describe(ids->value)});
  return fieldInput(ids->value.data, ids->value.host + ".length", {Elem::I32, {Dim::symbol("N")}}, call.where);
}

Val Checker::builtinPresent(const BuiltinCall &call) {
  Val lengths = builtinLengths(call);
  if (lengths.poison())
    return {};
  const Val &given = call.args[0]->value;
  TensorType ids = given.type;
  if (given.is(Val::Kind::Record)) { // a list: as wide as any of its parts
    auto prefix = inputPrefixes.find(given.data);
    std::string longest = (prefix == inputPrefixes.end() ? "" : prefix->second + "_") + given.host + "_most";
    ids.shape = {Dim::symbol("N"), Dim::symbol(longest)};
  }
  ids.elem = Elem::I32;
  ids.shape.resize(2);
  TensorType mask = ids;
  ids.classes = mask.classes = Dim(0);
  mask.elem = Elem::Bool;
  Value place = rec->add(Op::Iota, {}, ids, {{"dim", int64_t(1)}});
  Value length = rec->view(lengths.tensor, ids.shape, {index(0)});
  return tensorVal(rec->add(Op::Lt, {place, length}, mask));
}

Val Checker::builtinTokenizer(const BuiltinCall &call) {
  if (!call.args[0]->value.is(Val::Kind::String))
    return fail(Diag::ArgumentKind, call.args[0]->where, {"tokenizer", "file", "a file name in quotes", describe(call.args[0]->value)});
  TokenizerProgram out;
  out.kind = "file";
  out.file = call.args[0]->value.text;
  if (call.args[1]) {
    auto n = countSetting(call.args[1], "at_most");
    if (!n)
      return {};
    out.atMost = *n;
  }
  Val v;
  v.kind = Val::Kind::Tokenizer;
  v.integer = Dim(out.atMost);
  program->tokenizers.push_back(out); // the `const` that it stands in names it
  return v;
}

bool Checker::checkVocabulary(const ast::FitDecl &d, const ast::CallExpr &call, Module *m) {
  const std::string &kind = static_cast<const ast::RefExpr &>(*call.callee).name;
  TokenizerProgram out;
  out.name = d.name.text;
  out.kind = kind;
  bool ok = true;
  Reading source_;
  build(d.name.text, [&] {
    Reading *saved = reading;
    reading = &source_;
    Args args = evalArguments(call.arguments, globalScope(m), nullptr);
    reading = saved;
    size_t texts = 0;
    for (auto &a : args) {
      if (a.value.poison()) {
        ok = false;
      } else if (a.name.empty()) {
        if (a.value.is(Val::Kind::Text) && texts++ == 0) {
          out.field = a.value.text;
          out.elements = !a.value.host.empty();
          continue;
        }
        fail(texts > 1 ? Diag::TooManyArguments : Diag::VocabularyOfText, a.where,
             texts > 1 ? std::vector<std::string>{kind, "1 text"} : std::vector<std::string>{kind, describe(a.value)},
             texts > 1 ? "" : "for example `" + kind + "(corpus.train.line)`");
        ok = false;
      } else if (a.name == "at_most" || (a.name == "at_least" && kind == "words")) {
        auto n = countSetting(&a, a.name);
        ok &= n.has_value();
        (a.name == "at_most" ? out.atMost : out.atLeast) = n.value_or(1);
      } else if (a.name == "unknown" || a.name == "lower") {
        if (!a.value.is(Val::Kind::Bool)) {
          fail(Diag::ArgumentKind, a.where, {kind, a.name, "true or false", describe(a.value)});
          ok = false;
        }
        (a.name == "unknown" ? out.unknown : out.lower) = a.value.boolean;
      } else {
        std::vector<std::string> known = {"at_most", "unknown", "lower"};
        if (kind == "words")
          known.push_back("at_least");
        std::string near = didYouMean(a.name, known);
        fail(Diag::UnknownSetting, a.told(), {kind, a.name}, near.empty() ? "" : "did you mean `" + near + "`?");
        ok = false;
      }
    }
    if (ok && texts == 0) {
      fail(Diag::FitNeedsData, d.value->range, {d.name.text}, "give it a text field of a training split: `data.train.field`");
      ok = false;
    }
  }, false);
  if (kind == "words")
    out.unknown = true; // a text of another split has words that are new
  if (!ok || !source_.set)
    return false;
  out.data = program->data[source_.set->index].name;
  out.split = source_.split;
  Val v;
  v.kind = Val::Kind::Tokenizer;
  v.text = out.name;
  v.integer = Dim(out.atMost);
  vocabularies[&d] = v;
  program->tokenizers.push_back(out);
  return true;
}

} // namespace bigm::sema
