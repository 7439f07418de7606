#include "Manifest.h"
#include "Elem.h"
#include "Failure.h"
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace bigm::rt {

using Json = nlohmann::json;

[[noreturn]] static void fail(const std::string &text) { throw Failure(BIGM_ERROR_FORMAT, "bad manifest: " + text); }

static const Json &member(const Json &object, const char *key, const std::string &where) {
  if (!object.is_object() || !object.contains(key))
    fail(where + " lacks `" + key + "`");
  return object[key];
}
static std::string text(const Json &object, const char *key, const std::string &where) {
  const Json &value = member(object, key, where);
  if (!value.is_string())
    fail("`" + std::string(key) + "` of " + where + " is no text");
  return value;
}
static const Json &list(const Json &object, const char *key, const std::string &where) {
  const Json &value = member(object, key, where);
  if (!value.is_array())
    fail("`" + std::string(key) + "` of " + where + " is no list");
  return value;
}
static int64_t number(const Json &value, const std::string &where) {
  if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t(INT64_MAX)))
    fail(where + " is no whole number");
  return value.get<int64_t>();
}
static int32_t elem(const Json &object, const std::string &where) {
  std::string name = text(object, "dtype", where);
  auto found = elemNamed(name);
  if (!found)
    fail(where + " has the unknown type `" + name + "`");
  return *found;
}

static TensorDecl parseTensor(const Json &json, size_t index) {
  static const char *const kinds[] = {"param", "state", "slot", "metric", "fit"};
  std::string where = "tensor " + std::to_string(index);
  TensorDecl tensor;
  tensor.name = text(json, "name", where);
  where = "tensor `" + tensor.name + "`";
  std::string kind = text(json, "kind", where);
  auto found = std::find(std::begin(kinds), std::end(kinds), kind);
  if (found == std::end(kinds))
    fail(where + " has the unknown kind `" + kind + "`");
  tensor.kind = int32_t(found - std::begin(kinds));
  tensor.dtype = elem(json, where);
  int64_t bytes = int64_t(elemInfo(tensor.dtype)->size);
  for (const Json &size : list(json, "shape", where)) {
    tensor.shape.push_back(number(size, "a size of " + where));
    if (tensor.shape.back() < 0)
      fail(where + " has a negative size");
    bytes = checkedMul(bytes, tensor.shape.back(), "a tensor");
  }
  tensor.bytes = uint64_t(bytes);
  tensor.narrowed = json.contains("narrowed");
  if (json.contains("scales")) {
    tensor.scales = int32_t(number(json["scales"], "`scales` of " + where));
    tensor.axis = number(member(json, "axis", where), "`axis` of " + where);
    if (tensor.axis < 0 || tensor.axis >= int64_t(tensor.shape.size()))
      fail(where + " has no dimension `axis`");
  }
  if (json.contains("balance")) {
    tensor.balance = int32_t(number(json["balance"], "`balance` of " + where));
    tensor.along = number(member(json, "along", where), "`along` of " + where);
    if (tensor.along < 0 || tensor.along >= int64_t(tensor.shape.size()) || tensor.scales < 0)
      fail(where + " cannot be balanced");
  }
  if (json.contains("values")) {
    for (const Json &value : list(json, "values", where)) {
      if (!value.is_number())
        fail(where + " has a value that is no number");
      tensor.values.push_back(value.get<float>());
    }
    if (tensor.dtype != BIGM_F32 || tensor.values.size() * sizeof(float) != tensor.bytes)
      fail(where + " has not as many values as elements");
  }
  bool fits = tensor.scales >= 0 ? tensor.dtype == BIGM_I8 : tensor.dtype == BIGM_BF16 || tensor.dtype == BIGM_F16;
  if (tensor.narrowed ? !fits : tensor.scales >= 0)
    fail(where + " is narrowed to a type that it cannot have");
  return tensor;
}

static Arg parseArg(const Json &json, const Function &function, const Manifest &manifest) {
  static const char *const roles[] = {"input", "tensor", "seed", "step", "steps", "output", "prepared"};
  std::string where = "an argument of `" + function.name + "`";
  Arg arg;
  arg.name = text(json, "name", where);
  where = "argument `" + arg.name + "` of `" + function.name + "`";
  std::string role = text(json, "role", where);
  auto found = std::find(std::begin(roles), std::end(roles), role);
  if (found == std::end(roles))
    fail(where + " has the unknown role `" + role + "`");
  arg.role = Role(found - std::begin(roles));
  auto parseAccess = [&] {
    std::string access = text(json, "access", where);
    if (access != "read" && access != "write" && access != "update")
      fail(where + " has the unknown access `" + access + "`");
    arg.writes = access != "read";
  };
  if (arg.role == Role::Prepared) {
    int64_t value = number(member(json, "prepared", where), "`prepared` of " + where);
    if (value < 0 || value >= int64_t(manifest.prepared.size()))
      fail(where + " names a prepared value that is not there");
    arg.prepared = int32_t(value);
    parseAccess();
    return arg;
  }
  if (arg.role == Role::Tensor) {
    int64_t tensor = number(member(json, "tensor", where), "`tensor` of " + where);
    if (tensor < 0 || tensor >= int64_t(manifest.tensors.size()))
      fail(where + " names a tensor that is not there");
    arg.tensor = int32_t(tensor);
    arg.dtype = manifest.tensors[tensor].dtype;
    parseAccess();
    return arg;
  }
  arg.dtype = elem(json, where);
  for (const Json &size : list(json, "shape", where))
    arg.shape.push_back(size.is_string() ? DimExpr::parse(size.get<std::string>(), function.symbols)
                                         : DimExpr(number(size, "a size of " + where)));
  if (json.contains("classes"))
    arg.classes = number(json["classes"], "`classes` of " + where);
  if (json.contains("below")) {
    const Json &below = json["below"];
    if (!below.is_array() || below.size() != 2 || !below[1].is_string())
      fail("`below` of " + where + " is no number with a place");
    arg.below = number(below[0], "`below` of " + where);
    arg.belowWhere = below[1];
  }
  int32_t needed = arg.role == Role::Seed ? BIGM_I64 : BIGM_F32;
  if (arg.role != Role::Input && arg.role != Role::Output && (arg.dtype != needed || !arg.shape.empty()))
    fail(where + " should be the scalar " + elemInfo(needed)->name);
  return arg;
}

/// A sum of bytes times products of a function's symbols.
static std::vector<BytesTerm> termsOf(const Json &object, const char *key, const std::string &where, const std::vector<std::string> &symbols) {
  std::vector<BytesTerm> terms;
  std::string place = "`" + std::string(key) + "` of " + where;
  for (const Json &item : list(object, key, where)) {
    BytesTerm term{number(member(item, "bytes", place), "`bytes` of " + place), {}};
    if (term.bytes < 0)
      fail(place + " has negative bytes");
    for (const Json &symbol : list(item, "of", place)) {
      auto found = std::find(symbols.begin(), symbols.end(), symbol.is_string() ? symbol.get<std::string>() : "");
      if (found == symbols.end())
        fail(place + " names an unknown symbol");
      term.of.push_back(int32_t(found - symbols.begin()));
    }
    terms.push_back(std::move(term));
  }
  return terms;
}

static Function parseFunction(const Json &json, size_t index, const Manifest &manifest) {
  std::string where = "function " + std::to_string(index);
  Function function;
  function.name = text(json, "name", where);
  where = "function `" + function.name + "`";
  for (const Json &symbol : list(json, "symbols", where)) {
    if (!symbol.is_string())
      fail("a symbol of " + where + " is no text");
    function.symbols.push_back(symbol);
  }
  for (const Json &item : list(json, "args", where)) {
    Arg arg = parseArg(item, function, manifest);
    int32_t at = int32_t(function.args.size());
    if (arg.role == Role::Input)
      function.inputs.push_back(at);
    if (arg.role == Role::Output)
      function.outputs.push_back(at);
    function.writes |= arg.role == Role::Tensor && arg.writes;
    function.usesPrepared |= arg.role == Role::Prepared;
    function.needsSeed |= arg.role == Role::Seed;
    function.needsStep |= arg.role == Role::Step || arg.role == Role::Steps;
    function.args.push_back(std::move(arg));
  }
  function.arena = termsOf(json, "arena", where, function.symbols);
  if (json.contains("not_negative"))
    for (const Json &item : list(json, "not_negative", where)) {
      if (!item.is_array() || item.size() != 2 || !item[0].is_string() || !item[1].is_string())
        fail("`not_negative` of " + where + " has an entry that is no pair of texts");
      std::string text = item[0].get<std::string>();
      function.requirements.push_back({DimExpr::parse(text, function.symbols), text, item[1].get<std::string>()});
    }
  if (json.contains("least_sizes")) {
    for (const Json &size : list(json, "least_sizes", where))
      function.leastSizes.push_back(number(size, "`least_sizes` of " + where));
    if (function.leastSizes.size() != function.symbols.size())
      fail("`least_sizes` of " + where + " has not one number for each symbol");
  }
  if (json.contains("slices")) {
    const Json &slices = json["slices"];
    const Json &of = member(slices, "of", "`slices` of " + where);
    auto found = std::find(function.symbols.begin(), function.symbols.end(), of.is_string() ? of.get<std::string>() : "");
    Function::Slices own{int32_t(found - function.symbols.begin()), number(member(slices, "weights", "`slices` of " + where), "`weights` of `slices` of " + where),
                         termsOf(slices, "pays", "`slices` of " + where, function.symbols)};
    if (found == function.symbols.end())
      fail("`of` of `slices` of " + where + " is an unknown symbol");
    if (own.pays.empty())
      fail("`pays` of `slices` of " + where + " is empty");
    for (const Arg &arg : function.args) {
      for (size_t i = 0; i < arg.shape.size(); ++i)
        if (arg.shape[i].uses(own.symbol) && (i || arg.shape[i].asSymbol() != own.symbol))
          fail("`slices` of " + where + " is not the outermost size of `" + arg.name + "`");
      // On several threads at once.
      if (arg.writes || (arg.role == Role::Output && (arg.shape.empty() || !arg.shape.front().uses(own.symbol))))
        fail("every slice of " + where + " would write `" + arg.name + "`");
    }
    function.slices = own;
  }
  return function;
}

std::string Function::tooSmall(const Requirement &requirement, const int64_t *dims) const {
  std::string sizes;
  for (size_t i = 0; i < symbols.size(); ++i)
    if (requirement.size.uses(int32_t(i)))
      sizes += (sizes.empty() ? "" : ", ") + ("`" + symbols[i] + "` = ") + std::to_string(dims[i]);
  return "`" + name + "` cannot take " + sizes + ": `" + requirement.text + "` would be negative" +
         (requirement.where.empty() ? "" : " (" + requirement.where + ")");
}

namespace {
/// `size` gives that of a symbol.
template <class Size> int64_t arenaOf(const Function &function, Size size) {
  int64_t sum = 0;
  for (const BytesTerm &term : function.arena) {
    int64_t bytes = term.bytes;
    for (int32_t symbol : term.of)
      bytes = checkedMul(bytes, std::max(size(symbol), function.leastSizes.empty() ? 1 : function.leastSizes[size_t(symbol)]),
                         "the scratch memory");
    sum = checkedAdd(sum, bytes, "the scratch memory");
  }
  return sum;
}
} // namespace

int64_t Function::arenaBytes(const int64_t *dims) const {
  return arenaOf(*this, [&](int32_t symbol) { return dims[symbol]; });
}

int64_t Function::arenaBytes(const int64_t *dims, int64_t each) const {
  return arenaOf(*this, [&](int32_t symbol) { return symbol == slices->symbol ? each : dims[symbol]; });
}

int64_t Function::sliceOf(const int64_t *dims) const {
  double pays = 0;
  for (const BytesTerm &term : slices->pays) {
    double bytes = double(term.bytes);
    for (int32_t symbol : term.of)
      bytes *= double(dims[symbol]);
    pays += bytes;
  }
  double each = std::max(2.0, std::ceil(double(slices->weights) / pays));
  return each < double(dims[slices->symbol]) ? int64_t(each) : dims[slices->symbol];
}

int64_t Function::count(const Arg &arg, const int64_t *dims) const {
  int64_t count = 1;
  for (const DimExpr &expr : arg.shape) {
    int64_t size = expr.eval(dims);
    if (size < 0)
      throw Failure(BIGM_ERROR_SHAPE, "`" + arg.name + "` of `" + name + "` would have a negative size");
    count = checkedMul(count, size, "an argument");
  }
  return count;
}

/// What there is to pick from: the code that the manifest itself describes, then its `variants`.
static std::vector<Variant> variantsOf(const Json &json) {
  std::vector<Variant> variants;
  auto add = [&](const Json &from, const std::string &where) {
    Variant variant{from.contains("target") ? text(from, "target", where) : "", {}};
    if (from.contains("needs"))
      for (const Json &feature : list(from, "needs", where)) {
        if (!feature.is_string())
          fail("what " + where + " needs is no text");
        variant.needed.push_back(feature);
      }
    variants.push_back(std::move(variant));
  };
  add(json, "it");
  if (json.contains("variants"))
    for (const Json &item : list(json, "variants", "it"))
      add(item, "a variant");
  return variants;
}

Manifest Manifest::parse(std::string_view source, const Pick &pick) {
  Json json = Json::parse(source, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object())
    fail("it is no JSON object");
  int64_t version = number(member(json, "bigm", "it"), "`bigm`");
  if (version != BIGM_ABI_VERSION)
    throw Failure(BIGM_ERROR_VERSION, "the program was compiled for version " + std::to_string(version) +
                                          " of the runtime, and this is version " + std::to_string(BIGM_ABI_VERSION));
  Manifest manifest;
  manifest.text = source;
  manifest.name = bigm::rt::text(json, "name", "it");
  for (const Json &item : list(json, "tensors", "it")) {
    manifest.tensors.push_back(parseTensor(item, manifest.tensors.size()));
    const std::string &name = manifest.tensors.back().name;
    if (!manifest.tensorByName.emplace(name, int32_t(manifest.tensors.size() - 1)).second)
      fail("two tensors have the name `" + name + "`");
  }
  std::vector<Variant> variants = variantsOf(json);
  size_t picked = pick ? pick(manifest.name, variants) : 0;
  const Json &code = picked == 0 ? json : json["variants"][picked - 1];
  manifest.target = variants[picked].target;
  if (picked > 0)
    manifest.firstEntry = number(member(code, "first_entry", "a variant"), "`first_entry` of a variant");
  if (manifest.firstEntry < 0)
    fail("the entries of a variant begin before the first");
  for (const TensorDecl &t : manifest.tensors)
    if (t.scales >= 0) {
      const TensorDecl *scales = size_t(t.scales) < manifest.tensors.size() ? &manifest.tensors[size_t(t.scales)] : nullptr;
      if (!scales || scales->dtype != BIGM_F32 || scales->shape != std::vector<int64_t>{t.shape[size_t(t.axis)]})
        fail("tensor `" + t.name + "` has scales that are none");
      if (t.balance < 0)
        continue;
      const TensorDecl *balance = size_t(t.balance) < manifest.tensors.size() ? &manifest.tensors[size_t(t.balance)] : nullptr;
      if (!balance || balance->shape != std::vector<int64_t>{t.shape[size_t(t.along)]} || int64_t(balance->values.size()) != t.shape[size_t(t.along)])
        fail("tensor `" + t.name + "` has a balance that is none");
    }
  manifest.feedsPrepared.resize(manifest.tensors.size());
  if (code.contains("prepared")) {
    for (const Json &bytes : list(code, "prepared", "it")) {
      int64_t size = number(bytes, "a size of `prepared`");
      if (size < 0)
        fail("a prepared value has a negative size");
      manifest.prepared.push_back(uint64_t(size));
    }
    manifest.prepare = parseFunction(member(code, "prepare", "it"), 0, manifest);
    if (!manifest.prepare.symbols.empty())
      fail("`prepare` has symbols");
    for (const Arg &arg : manifest.prepare.args) {
      if (arg.role != Role::Prepared && (arg.role != Role::Tensor || arg.writes))
        fail("`prepare` has the argument `" + arg.name + "`, which is neither a tensor to read nor a prepared value");
      if (arg.role == Role::Tensor)
        manifest.feedsPrepared[size_t(arg.tensor)] = 1;
    }
  }
  for (const Json &item : list(code, "functions", "it")) {
    manifest.functions.push_back(parseFunction(item, manifest.functions.size(), manifest));
    for (const Arg &arg : manifest.functions.back().args) {
      if (arg.role == Role::Prepared && arg.writes)
        fail("function `" + manifest.functions.back().name + "` writes a prepared value");
      if (arg.role == Role::Tensor && arg.writes)
        manifest.functions.back().spoilsPrepared |= manifest.feedsPrepared[size_t(arg.tensor)];
    }
    const std::string &name = manifest.functions.back().name;
    // A function's number is the same in all variants: callers were compiled with it.
    const Json &first = list(json, "functions", "it");
    if (size_t i = manifest.functions.size() - 1; i >= first.size() || bigm::rt::text(first[i], "name", "a function") != name)
      fail("`" + name + "` is another function in the code for " + variants.front().target);
    if (!manifest.functionByName.emplace(name, int32_t(manifest.functions.size() - 1)).second)
      fail("two functions have the name `" + name + "`");
  }
  if (json.contains("trains"))
    for (const Json &item : list(json, "trains", "it")) {
      Train train;
      train.name = bigm::rt::text(item, "name", "a train program");
      std::string where = "train `" + train.name + "`";
      auto function = [&](const std::string &name) {
        auto found = manifest.functionByName.find(name);
        if (found == manifest.functionByName.end())
          fail(where + " names the unknown function `" + name + "`");
        return found->second;
      };
      if (std::string init = item.contains("init") ? bigm::rt::text(item, "init", where) : ""; !init.empty())
        train.init = function(init);
      if (item.contains("seed"))
        train.seed = number(item["seed"], "`seed` of " + where);
      if (item.contains("digest"))
        train.digest = bigm::rt::text(item, "digest", where);
      if (item.contains("phases"))
        for (const Json &phase : list(item, "phases", where))
          // Where weights are kept in few bits there is no step.
          for (const char *which : {"step", "gather"})
            if (phase.contains(which) && phase[which] != "")
              manifest.functions[function(bigm::rt::text(phase, which, "a phase of " + where))].train = int32_t(manifest.trains.size());
      manifest.trains.push_back(std::move(train));
    }
  return manifest;
}

} // namespace bigm::rt
