// `generate` in a flow: a step of the host, which writes with the functions that Generate.cpp makes.
#include "Flow.h"

namespace bigm::sema {

/// generate(ids, model, at_most?, temperature?, top_p?, top_k?, repetition?, beams?, seed?, stop?, end?) -> stream text.
Val Checker::flowGenerate(const BuiltinCall &call) {
  if (!flow)
    return fail(Diag::OutsideFlow, call.where, {"generate"});
  const Given &ids = *call.args[0], &model = *call.args[1];
  auto length = ids.value.is(Val::Kind::Tensor) ? flow->lengths.find(ids.value.tensor) : flow->lengths.end();
  auto by = ids.value.is(Val::Kind::Tensor) ? flow->tokenizers.find(ids.value.tensor) : flow->tokenizers.end();
  if (length == flow->lengths.end() || by == flow->tokenizers.end())
    return fail(Diag::NotFromText, ids.where, {"generate", describe(ids.value)}, "for example `prompt |> words |> generate(gpt)`");
  bool instance = model.value.is(Val::Kind::Callable) && model.value.callable->kind == Callable::Kind::Model &&
                  model.value.callable->instance->path.find('.') == std::string::npos;
  if (!instance)
    return fail(Diag::GenerateModel, model.where, {describe(model.value)},
                "declare it by itself: `model gpt = Gpt(...)`, or train it");
  std::shared_ptr<Instance> own = model.value.callable->instance;
  if (!buildGeneration(own, own->path, call.where))
    return {};
  Spec settings;
  settings.name = own->path;
  settings.strings = {by->second};
  struct Number {
    const char *name;
    double least, most;
    bool whole;
  };
  static const Number numbers[] = {{"at_most", 1, 1e9, true}, {"temperature", 0, 1e9, false}, {"top_p", 1e-9, 1, false},
                                   {"top_k", 0, 1e9, true},   {"repetition", 1e-9, 1e9, false}, {"beams", 1, 64, true},
                                   {"seed", 0, 9e15, true}};
  for (size_t i = 0; i < std::size(numbers); ++i) {
    const Given *given = call.args[2 + i];
    if (!given)
      continue;
    auto n = plainNumber(given->value, given->where, "`" + std::string(numbers[i].name) + "`");
    if (!n)
      return {};
    bool fits = *n >= numbers[i].least && *n <= numbers[i].most && (!numbers[i].whole || *n == double(int64_t(*n)));
    if (!fits) {
      std::string range = std::string(numbers[i].whole ? "a whole number" : "a number") +
                          (numbers[i].most == 1 ? " above 0 and at most 1" : numbers[i].least == 0 ? " of 0 or more" : " above 0");
      return fail(Diag::ArgumentKind, given->where, {"generate", numbers[i].name, range, source(given->where)});
    }
    settings.options[numbers[i].name] = *n;
  }
  // Texts to stop at, and tokens that end a text: each with its kind in front.
  for (size_t i : {9u, 10u}) {
    const Given *given = call.args[i];
    if (!given)
      continue;
    std::vector<Val> all = given->value.is(Val::Kind::List) ? given->value.items : std::vector<Val>{given->value};
    for (const Val &v : all) {
      if (!v.is(Val::Kind::String) || v.text.empty())
        return fail(Diag::ArgumentKind, given->where, {"generate", i == 9 ? "stop" : "end", "a text in quotes, or a list of them", describe(v)});
      settings.strings.push_back((i == 9 ? "stop " : "end ") + v.text);
    }
  }
  RichType text;
  text.kind = RichType::Kind::Text;
  text.slot = "text";
  text.stream = true;
  return hostStep("generate", {ids.value, tensorVal(length->second)}, std::move(settings), {text}, call.where)[0];
}

} // namespace bigm::sema
