// Operations on texts in flows, where a text is that of every record: each is a step of the host.
#include "Flow.h"

namespace bigm::sema {

/// tokens(x, by, at_most?, length?, special?) -> i32[T] of each record; T is the longest of the batch unless `length` says.
Val Checker::flowTokens(const BuiltinCall &call) {
  const Given &x = *call.args[0], &by = *call.args[1];
  if (!x.value.is(Val::Kind::Text) || x.value.stream)
    return fail(Diag::TokensNeedText, x.where, {"tokens", "a text", describe(x.value)});
  if (!by.value.is(Val::Kind::Tokenizer))
    return fail(Diag::TokensNeedText, by.where, {"tokens", "a vocabulary or a tokenizer", describe(by.value)},
                "for example `const words = tokenizer(\"tokenizer.json\")` and `tokens(words)`");
  if (by.value.text.empty())
    return fail(Diag::TokenizerWithoutName, by.where, {}, "write `const words = tokenizer(\"tokenizer.json\")`");
  Spec settings;
  settings.name = "tokenizer";
  settings.strings = {by.value.text};
  Dim length;
  for (int i : {2, 3}) {
    const char *name = i == 2 ? "at_most" : "length";
    const Given *given = call.args[i];
    if (!given)
      continue;
    auto n = wholeNumber(given->value, given->where, std::string("`") + name + "`");
    if (!n)
      return {};
    if (*n < 1)
      return fail(Diag::NeedsWholeNumber, given->where, {std::string("`") + name + "`", std::to_string(*n)});
    settings.options[name] = double(*n);
    length = i == 3 ? Dim(*n) : length;
  }
  if (const Given *special = call.args[4]) {
    if (!special->value.is(Val::Kind::Bool))
      return fail(Diag::ArgumentKind, special->where, {"tokens", "special", "true or false", describe(special->value)});
    settings.options["special"] = special->value.boolean ? 1.0 : 0.0;
  }
  if (!call.args[3])
    length = Dim::symbol(flow->freshSize("T"));
  RichType ids, lengths;
  ids.slot = "ids";
  ids.tensor = {Elem::I32, {length}, 0};
  lengths.slot = "ids.length";
  lengths.tensor = {Elem::I32, {}, 0};
  auto values = hostStep("tokens", {x.value}, std::move(settings), {ids, lengths}, call.where);
  flow->lengths[values[0].tensor] = values[1].tensor;
  flow->tokenizers[values[0].tensor] = by.value.text;
  return values[0];
}

/// lengths(ids): how many of a row's ids are no padding, i32 of each record.
Val Checker::flowLengths(const BuiltinCall &call) {
  const Given &ids = *call.args[0];
  auto known = ids.value.is(Val::Kind::Tensor) ? flow->lengths.find(ids.value.tensor) : flow->lengths.end();
  if (known == flow->lengths.end())
    return fail(Diag::NotFromText, ids.where, {call.builtin->name, describe(ids.value)});
  return tensorVal(known->second);
}

/// best(x): the class of the largest of the last dimension, a label.
Val Checker::builtinBest(const BuiltinCall &call) {
  if (!needTensor(call.args[0], "best"))
    return {};
  const TensorType &x = call.args[0]->value.type;
  if (x.shape.empty())
    return fail(Diag::NeedsOneAxis, call.args[0]->where, {"best"});
  TensorType label{Elem::I32, {x.shape.begin(), x.shape.end() - 1}, x.shape.back()};
  return tensorVal(rec->add(Op::ArgMax, {call.args[0]->value.tensor}, label, {{"dim", int64_t(x.shape.size() - 1)}}));
}

} // namespace bigm::sema
