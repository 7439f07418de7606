#include "Engine.h"
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

namespace bigm::generate {
namespace {
using Json = nlohmann::json;

void check(bigm_status status) {
  if (status != BIGM_OK)
    throw Error(bigm_last_error());
}

const Json &named(const Json &list, const std::string &name) {
  for (const Json &item : list)
    if (item.at("name") == name)
      return item;
  throw Error("the program has no `" + name + "`");
}
} // namespace

Engine::Engine(bigm_model *model, const std::string &name, int64_t capacity, int64_t slots, int32_t threads) {
  const bigm_module *module = bigm_model_module(model);
  std::string text = bigm_module_manifest(module, nullptr);
  Json manifest = Json::parse(text);
  const Json generates = manifest.value("generates", Json::array());
  if (generates.empty())
    throw Error("the program `" + std::string(bigm_module_name(module)) + "` writes nothing: no `deploy` of it has `cache kv`");
  if (name.empty() && generates.size() > 1)
    throw Error("the program has several models that write; name one of them, such as `" +
                generates[0].at("name").get<std::string>() + "`");
  const Json &own = name.empty() ? generates[0] : named(generates, name);
  if (slots < 1 || capacity < 0)
    throw Error("generation needs at least one slot, and a capacity that is not negative");
  int64_t positions = own.value("positions", int64_t(0));
  limit = capacity == 0 ? positions : positions == 0 ? capacity : std::min(capacity, positions);
  if (limit == 0)
    throw Error("`" + own.at("name").get<std::string>() + "` can read any number of positions; say how many are kept");
  idsName = own.at("ids");
  size_t caches = own.at("caches");
  widths.resize(caches), kept.resize(caches), fresh.resize(caches);

  bigm_context_options options = BIGM_INIT(bigm_context_options);
  options.threads = threads;
  bigm_context *made = nullptr;
  check(bigm_context_create(model, &options, &made));
  context.reset(made);
  for (auto [function, role] : {std::pair(&first, "prefill"), std::pair(&next, "decode")}) {
    std::string called = own.at(role);
    function->number = bigm_module_find_function(module, called.c_str());
    describe(*function, called, named(manifest.at("functions"), called).dump());
  }
  lengths.assign(size_t(slots), 0);
  for (size_t c = 0; c < caches; ++c) {
    if (widths[c] > 0 && slots > INT64_MAX / 4 / limit / widths[c])
      throw Error("keys and values of " + std::to_string(slots) + " sequences with " + std::to_string(limit) +
                  " positions are more than memory can hold");
    kept[c].resize(size_t(slots * limit * widths[c]));
  }
  // So that no token waits for memory.
  ids.reserve(size_t(slots)), counts.reserve(size_t(slots)), pasts.reserve(size_t(slots)), slotNumbers.reserve(size_t(slots));
  logits.reserve(size_t(slots * vocabulary));
  for (size_t c = 0; c < caches; ++c)
    fresh[c].reserve(size_t(slots * widths[c]));
}

/// Which of our values an input or output is, and which size a symbol stands for, by names and shapes.
void Engine::describe(Function &function, const std::string &name, const std::string &description) {
  Json json = Json::parse(description);
  std::vector<std::string> symbols = json.at("symbols");
  function.dims.assign(symbols.size(), -1);
  auto is = [&](const Json &size, Size what) {
    if (!size.is_string())
      return;
    auto at = std::find(symbols.begin(), symbols.end(), size.get<std::string>());
    if (at != symbols.end())
      function.dims[size_t(at - symbols.begin())] = what;
  };
  auto cacheOf = [&](const std::string &text, const std::string &prefix) -> int {
    size_t dot = text.find('.', prefix.size());
    if (text.rfind(prefix, 0) != 0 || dot == std::string::npos)
      return -1;
    return std::atoi(text.c_str() + prefix.size()) * 2 + (text.substr(dot) == ".v");
  };
  for (const Json &arg : json.at("args")) {
    std::string role = arg.at("role"), called = arg.at("name");
    if (role != "input" && role != "output")
      continue;
    const Json &shape = arg.at("shape");
    if (role == "input") {
      int cache = cacheOf(called, "cache.");
      int what = called == idsName ? Ids : called == "count" ? Count : called == "past" ? Past : called == "slot" ? Slot : -1;
      if (cache >= 0 && size_t(cache) < widths.size()) {
        what = Caches + cache;
        is(shape.at(0), Slots), is(shape.at(1), Capacity);
      } else if (what == Ids) {
        is(shape.at(0), Sequences), is(shape.at(1), Length);
      } else if (what < 0) {
        throw Error("`" + name + "` takes `" + called + "` besides tokens, which generation does not give");
      }
      function.inputs.push_back(what);
    } else {
      int cache = cacheOf(called, "new.");
      if (cache >= 0 && size_t(cache) < widths.size())
        widths[size_t(cache)] = shape.at(2).get<int64_t>() * shape.at(3).get<int64_t>();
      else
        vocabulary = shape.at(1);
      function.outputs.push_back(cache >= 0 ? 1 + cache : 0);
    }
  }
  if (std::find(function.dims.begin(), function.dims.end(), -1) != function.dims.end())
    throw Error("`" + name + "` has sizes that generation does not know");
  function.in.resize(function.inputs.size()), function.out.resize(function.outputs.size());
  function.sizes.resize(symbols.size());
}

float *Engine::call(Function &function, int64_t sequences, int64_t length) {
  logits.resize(size_t(sequences * vocabulary));
  for (size_t c = 0; c < fresh.size(); ++c)
    fresh[c].resize(size_t(sequences * length * widths[c]));
  for (size_t i = 0; i < function.inputs.size(); ++i) {
    int what = function.inputs[i];
    const void *own[] = {ids.data(), counts.data(), pasts.data(), slotNumbers.data()};
    function.in[i] = what < Caches ? own[what] : kept[size_t(what - Caches)].data();
  }
  for (size_t i = 0; i < function.outputs.size(); ++i)
    function.out[i] = function.outputs[i] == 0 ? logits.data() : fresh[size_t(function.outputs[i] - 1)].data();
  const int64_t sizes[] = {sequences, length, slots(), limit};
  for (size_t i = 0; i < function.sizes.size(); ++i)
    function.sizes[i] = sizes[function.dims[i]];
  bigm_call request = BIGM_INIT(bigm_call);
  request.function = function.number;
  request.dims = function.sizes.data();
  request.inputs = function.in.data();
  request.outputs = function.out.data();
  check(bigm_run(context.get(), &request));
  return logits.data();
}

void Engine::keep(int64_t sequences, int64_t length, std::span<const int32_t> slots) {
  for (size_t c = 0; c < kept.size(); ++c)
    for (int64_t n = 0; n < sequences; ++n) {
      int32_t slot = slots[size_t(n)];
      std::memcpy(kept[c].data() + (slot * limit + lengths[size_t(slot)]) * widths[c],
                  fresh[c].data() + n * length * widths[c], size_t(counts[size_t(n)] * widths[c]) * sizeof(float));
    }
  for (int64_t n = 0; n < sequences; ++n)
    lengths[size_t(slots[size_t(n)])] += counts[size_t(n)];
}

float *Engine::prefill(std::span<const std::span<const int32_t>> sequences, std::span<const int32_t> slots) {
  int64_t longest = 0;
  for (std::span<const int32_t> sequence : sequences) {
    if (sequence.empty())
      throw Error("the text to go on from has no token, and one at least is needed");
    if (int64_t(sequence.size()) > limit)
      throw Error("a sequence begins with " + std::to_string(limit) + " tokens at most, and here are " +
                  std::to_string(sequence.size()));
    for (int32_t token : sequence)
      if (token < 0 || token >= vocabulary)
        throw Error("token " + std::to_string(token) + " is none of the model's " + std::to_string(vocabulary));
    longest = std::max(longest, int64_t(sequence.size()));
  }
  int64_t count = int64_t(sequences.size());
  ids.assign(size_t(count * longest), 0);
  counts.clear();
  for (int64_t n = 0; n < count; ++n) {
    std::copy(sequences[size_t(n)].begin(), sequences[size_t(n)].end(), ids.begin() + n * longest);
    counts.push_back(int32_t(sequences[size_t(n)].size()));
    lengths[size_t(slots[size_t(n)])] = 0;
  }
  float *result = call(first, count, longest);
  keep(count, longest, slots);
  return result;
}

float *Engine::decode(std::span<const int32_t> tokens, std::span<const int32_t> slots) {
  ids.clear(), counts.clear(), pasts.clear(), slotNumbers.clear();
  for (size_t n = 0; n < tokens.size(); ++n) {
    if (tokens[n] < 0 || tokens[n] >= vocabulary)
      throw Error("token " + std::to_string(tokens[n]) + " is none of the model's " + std::to_string(vocabulary));
    int64_t before = lengths[size_t(slots[n])];
    if (before >= limit)
      throw Error("a sequence has reached the " + std::to_string(limit) + " positions that are kept");
    ids.push_back(tokens[n]), counts.push_back(1), pasts.push_back(int32_t(before)), slotNumbers.push_back(slots[n]);
  }
  float *result = call(next, int64_t(tokens.size()), 1);
  keep(int64_t(tokens.size()), 1, slots);
  return result;
}

void Engine::copy(int32_t from, int32_t to) {
  lengths[size_t(to)] = lengths[size_t(from)];
  for (size_t c = 0; c < kept.size(); ++c)
    std::memcpy(kept[c].data() + to * limit * widths[c], kept[c].data() + from * limit * widths[c],
                size_t(lengths[size_t(from)] * widths[c]) * sizeof(float));
}

} // namespace bigm::generate
