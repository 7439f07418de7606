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

/// generate(ids, model, by, at_most?, temperature?, top_k?, top_p?, repetition_penalty?, beams?, stop?, seed?) -> stream text:
/// what a model that writes continues each row with, as text.
Val Checker::builtinGenerate(const BuiltinCall &call) {
  if (!flow)
    return fail(Diag::OutsideFlow, call.where, {"generate"});
  const Given &ids = *call.args[0], &model = *call.args[1], &by = *call.args[2];
  auto lengths = ids.value.is(Val::Kind::Tensor) ? flow->lengths.find(ids.value.tensor) : flow->lengths.end();
  if (lengths == flow->lengths.end())
    return fail(Diag::NotFromText, ids.where, {"generate", describe(ids.value)});
  bool isModel = model.value.is(Val::Kind::Callable) && model.value.callable->kind == Callable::Kind::Model;
  if (!isModel || model.value.callable->instance->path.find('.') != std::string::npos)
    return fail(Diag::ArgumentKind, model.where, {"generate", "model", "what a `train` or a `model name = ...` makes", describe(model.value)});
  if (!by.value.is(Val::Kind::Tokenizer) || by.value.text.empty())
    return fail(Diag::TokensNeedText, by.where, {"generate", "a vocabulary or a tokenizer with a name", describe(by.value)});
  auto instance = model.value.callable->instance;
  Spec settings;
  settings.name = instance->path;
  settings.strings = {by.value.text};
  static const char *const names[] = {"", "", "", "at_most", "temperature", "top_k", "top_p", "repetition_penalty", "beams"};
  for (size_t i = 3; i <= 10; ++i) {
    const Given *given = call.args[i];
    if (!given || i == 9)
      continue;
    std::string name = i == 10 ? "seed" : names[i];
    auto n = plainNumber(given->value, given->where, "`" + name + "`");
    if (!n)
      return {};
    bool whole = name == "at_most" || name == "top_k" || name == "beams" || name == "seed";
    double least = name == "at_most" || name == "beams" ? 1 : 0;
    if (*n < least || (name == "top_p" && *n > 1) || (name == "repetition_penalty" && *n == 0) ||
        (whole && (*n != double(int64_t(*n)) || *n > 2147483647.0)))
      return fail(Diag::GenerateSetting, given->where, {name, source(given->where)},
                  name == "top_p" ? "it is a share of the probability, above 0 and up to 1" : "");
    settings.options[name] = *n;
  }
  if (const Given *stop = call.args[9]) {
    std::vector<Val> texts = stop->value.is(Val::Kind::List) ? stop->value.items : std::vector<Val>{stop->value};
    for (auto &text : texts) {
      if (!text.is(Val::Kind::String) || text.text.empty())
        return fail(Diag::ArgumentKind, stop->where, {"generate", "stop", "a text in quotes, or a list of them", describe(text)});
      settings.strings.push_back(text.text);
    }
  }
  if (!buildGeneration(instance, instance->path, call.where))
    return {};
  RichType out;
  out.kind = RichType::Kind::Text;
  out.slot = "text";
  out.stream = true;
  return hostStep("generate", {ids.value, tensorVal(lengths->second)}, std::move(settings), {out}, call.where)[0];
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
