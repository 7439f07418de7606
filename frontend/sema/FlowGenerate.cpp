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
  static constexpr NumberSetting numbers[] = {{"at_most", 1, 1e9, true, "a whole number above 0"},
                                              {"temperature", 0, 1e9, false, "a number of 0 or more"},
                                              {"top_p", 1e-9, 1, false, "a number above 0 and at most 1"},
                                              {"top_k", 0, 1e9, true, "a whole number of 0 or more"},
                                              {"repetition", 1e-9, 1e9, false, "a number above 0"},
                                              {"beams", 1, 64, true, "a whole number above 0"},
                                              {"seed", 0, 9e15, true, "a whole number of 0 or more"}};
  if (!readNumbers(call, 2, numbers, settings))
    return {};
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
