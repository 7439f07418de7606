// Operations on texts in flows, where a text is that of every record: each is a step of the host.
#include "Flow.h"

namespace bigm::sema {

namespace {
Spec tokenSettings(const Val &by, const Checker::TokenLimits &limits) {
  Spec settings;
  settings.name = "tokenizer";
  settings.strings = {by.text};
  if (limits.atMost)
    settings.options["at_most"] = double(limits.atMost);
  if (limits.length)
    settings.options["length"] = double(limits.length);
  if (!limits.special)
    settings.options["special"] = 0.0;
  if (!limits.around.empty())
    settings.options["around"] = limits.around;
  return settings;
}

/// `slot` i32[length] and how many of it are no padding.
std::vector<RichType> idSlots(const std::string &slot, const Dim &length) {
  RichType ids, lengths;
  ids.slot = slot;
  ids.tensor = {Elem::I32, {length}, 0};
  lengths.slot = slot + ".length";
  lengths.tensor = {Elem::I32, {}, 0};
  return {ids, lengths};
}
} // namespace

bool Checker::isListOfTexts(const Val &v) const {
  return v.is(Val::Kind::Elements) && v.items[0].is(Val::Kind::Text) && flow->spaces[v.space].outside == flow->space;
}

/// What belongs to which row outside, for steps that put the elements of a list together.
void Checker::setOutside(Spec &settings) const {
  if (flow->space)
    settings.options["rows"] = flow->spaces[flow->space].slot;
}

/// tokens(x, by, at_most?, length?, special?, around?) -> i32[T] of each record; T is the longest of the batch unless `length` says.
/// Of a list of texts one id for each.
Val Checker::flowTokens(const BuiltinCall &call) {
  const Given &x = *call.args[0], &by = *call.args[1];
  bool each = isListOfTexts(x.value);
  if (!each && !x.value.is(Val::Kind::Text))
    return fail(Diag::TokensNeedText, x.where, {"tokens", "a text or a list of texts", describe(x.value)});
  auto limits = needTokenizer(by, "tokens") ? tokenLimits(call) : std::nullopt;
  if (!limits)
    return {};
  for (int i : {2, 3, 4, 5})
    if (each && call.args[i])
      return fail(Diag::TokensOfElements, call.args[i]->where, {source(x.where)},
                  "`pieces(" + source(x.where) + ", " + by.value.text + ")` has all ids of the elements, one behind the other");
  Spec settings = tokenSettings(by.value, *limits);
  std::vector<Val> inputs = {each ? x.value.items[0] : x.value};
  if (each) {
    inputs.push_back(flow->spaces[x.value.space].numbers);
    setOutside(settings);
  }
  Dim length = each ? flow->width(x.value.space) : limits->length ? Dim(limits->length) : Dim::symbol(flow->freshSize("T"));
  auto values = hostStep(each ? "element_tokens" : "tokens", inputs, std::move(settings), idSlots("ids", length), call.where);
  flow->lengths[values[0].tensor] = values[1].tensor;
  flow->tokenizers[values[0].tensor] = by.value.text;
  return values[0];
}

/// pieces(list, by, at_most?, length?, special?) -> i32[T]: the ids of all texts of a list, one behind the other.
Val Checker::flowPieces(const BuiltinCall &call) {
  const Given &x = *call.args[0], &by = *call.args[1];
  if (!isListOfTexts(x.value))
    return fail(Diag::PiecesNeedList, x.where, {describe(x.value)},
                x.value.is(Val::Kind::Text) ? "the ids of a whole text are `tokens(" + source(x.where) + ", " + by.value.text + ")`" : "");
  auto limits = needTokenizer(by, "pieces") ? tokenLimits(call) : std::nullopt;
  if (!limits)
    return {};
  Spec settings = tokenSettings(by.value, *limits);
  setOutside(settings);
  auto outputs = idSlots("ids", limits->length ? Dim(limits->length) : Dim::symbol(flow->freshSize("T")));
  for (RichType &starts : idSlots("starts", flow->width(x.value.space)))
    outputs.push_back(std::move(starts));
  auto values = hostStep("pieces", {x.value.items[0], flow->spaces[x.value.space].numbers}, std::move(settings), outputs, call.where);
  flow->lengths[values[0].tensor] = values[1].tensor;
  flow->tokenizers[values[0].tensor] = by.value.text;
  flow->starts[values[0].tensor] = values[2].tensor;
  flow->lengths[values[2].tensor] = values[3].tensor;
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
