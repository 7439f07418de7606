// Text: what the data loader makes of it, and the tokenizers that say how.
//
// A text never enters compiled code. `tokens(line, vocabulary)` is a step of the loader that gives a tensor of ids, which
// is an input of every function that uses it; everything after it is compiled. The steps stand in DataProgram::host, one
// for each field, tokenizer and length; `tokens` asked twice for the same is one step.
#include "Checker.h"

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

Val Checker::builtinTokens(const BuiltinCall &call) {
  if (flow)
    return flowTokens(call);
  const Given *text = call.args[0], *by = call.args[1];
  if (!text->value.is(Val::Kind::Text))
    return fail(Diag::TokensNeedText, text->where, {"tokens", "text", describe(text->value)});
  if (!by->value.is(Val::Kind::Tokenizer))
    return fail(Diag::TokensNeedText, by->where, {"tokens", "a vocabulary or a tokenizer", describe(by->value)},
                "for example `fit vocabulary = words(data.train.line)`");
  if (by->value.text.empty())
    return fail(Diag::TokenizerWithoutName, by->where, {}, "write `const subwords = tokenizer(\"tokenizer.json\")`");
  if (call.args[2] && call.args[3])
    return fail(Diag::TokensTwoLengths, call.args[3]->where);
  HostStep step;
  step.input = text->value.text;
  step.tokenizer = by->value.text;
  step.output = step.input + "." + step.tokenizer;
  for (int i : {2, 3})
    if (call.args[i]) {
      auto n = countSetting(call.args[i], i == 2 ? "at_most" : "length");
      if (!n)
        return {};
      (i == 2 ? step.atMost : step.length) = *n;
      step.output += (i == 2 ? ".at_most" : ".") + std::to_string(*n);
    }
  if (call.args[4]) {
    if (!call.args[4]->value.is(Val::Kind::Bool))
      return fail(Diag::ArgumentKind, call.args[4]->where, {"tokens", "special", "true or false", describe(call.args[4]->value)});
    step.special = call.args[4]->value.boolean;
    step.output += step.special ? "" : ".plain";
  }
  // A text of the elements of a list: one id each, in a tensor beside the list's other parts.
  step.each = !text->value.host.empty();
  for (int i : {2, 3, 4})
    if (step.each && call.args[i])
      return fail(Diag::TokensOfElements, call.args[i]->where, {text->value.text});
  DataSet *set = nullptr;
  for (auto &[decl, known] : dataSets)
    if (known->index == text->value.data)
      set = known.get();
  DataProgram &data = program->data[text->value.data];
  Dim length(step.length);
  if (step.each) {
    length = set->lists.at(text->value.host);
  } else if (step.length == 0) {
    // The rows of a batch are as long as its longest; the dimension is called as the field's type calls it.
    std::string symbol;
    for (auto &[name, owner] : set->raggeds)
      if (owner == step.output && (raggedName.empty() || raggedName == name || symbol.empty()))
        symbol = name;
    if (symbol.empty()) {
      symbol = raggedName.empty() ? "T" : raggedName;
      if (!raggedName.empty() && set->raggeds.count(symbol)) {
        std::string owner = set->raggeds[symbol];
        return fail(Diag::LengthNameTaken, call.where, {symbol, owner.substr(0, owner.find('.'))}, "give it a name of its own, such as `S`");
      }
      for (int n = 2; set->raggeds.count(symbol); ++n)
        symbol = "T" + std::to_string(n);
      set->raggeds[symbol] = step.output;
    }
    length = Dim::symbol(symbol);
  }
  bool known = false;
  for (HostStep &s : data.host)
    known |= s.output == step.output;
  step.outputs = {step.output, step.output + ".length"};
  if (!known)
    data.host.push_back(step);
  Val v = fieldInput(text->value.data, step.output, {Elem::I32, {Dim::symbol("N"), length}}, call.where);
  v.host = step.output;
  v.data = text->value.data;
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
             texts > 1 ? std::vector<std::string>{kind, "1"} : std::vector<std::string>{kind, describe(a.value)},
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
        fail(Diag::UnknownSetting, a.where, {kind, a.name}, near.empty() ? "" : "did you mean `" + near + "`?");
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
