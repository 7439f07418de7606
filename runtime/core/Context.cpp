#include "Context.h"
#include "Elem.h"
#include "Failure.h"
#include "Slices.h"
#include <algorithm>
#include <mutex>
#include <type_traits>
#include <utility>

namespace bigm::rt {

Context::Context(Model &owner, int32_t count) : model(owner), threads(count > 0 ? count : defaultThreads()) {
  if (threads > 1)
    pool = std::make_unique<Parallel>(threads);
  const Manifest &manifest = model.module->manifest;
  // `prepare` has the last list, as it has the last entry.
  for (size_t f = 0; f <= manifest.functions.size(); ++f) {
    const Function &function = f < manifest.functions.size() ? manifest.functions[f] : manifest.prepare;
    std::vector<void *> &list = buffers.emplace_back(function.args.size());
    for (size_t i = 0; i < list.size(); ++i)
      switch (function.args[i].role) {
      case Role::Tensor:
        list[i] = model.tensors[function.args[i].tensor];
        break;
      case Role::Prepared:
        list[i] = model.prepared[size_t(function.args[i].prepared)];
        break;
      case Role::Seed:
        list[i] = &seed;
        break;
      case Role::Step:
        list[i] = &step;
        break;
      case Role::Steps:
        list[i] = &steps;
        break;
      default:
        break;
      }
  }
}

Context::~Context() = default;

/// Bytes of an output, a whole number of cache lines.
static int64_t linesOf(const Function &function, const Arg &arg, const int64_t *dims) {
  int64_t bytes = checkedMul(function.count(arg, dims), int64_t(elemInfo(arg.dtype)->size), "an output");
  return checkedAdd(bytes, 63, "an output") / 64 * 64;
}

int64_t Context::scratchBytes(const Function &function, const int64_t *dims) const {
  if (SlicedCall call(function, dims, threads); call)
    return call.bytes();
  return checkedAdd(function.arenaBytes(dims), 63, "the scratch memory") / 64 * 64;
}

int64_t Context::arenaBytes(const Function &function, const int64_t *dims, void *const *outputs) const {
  int64_t bytes = scratchBytes(function, dims);
  for (size_t i = 0; i < function.outputs.size(); ++i)
    if (!outputs[i])
      bytes = checkedAdd(bytes, linesOf(function, function.args[function.outputs[i]], dims), "the scratch memory");
  // `prepare` runs before, in the same memory.
  return function.usesPrepared ? std::max(bytes, model.module->manifest.prepare.arenaBytes(nullptr)) : bytes;
}

void Context::prepare() {
  if (!model.stale)
    return;
  std::lock_guard guard(model.preparing);
  if (!model.stale)
    return; // another context did it meanwhile
  if (int32_t result = enter(int32_t(model.module->manifest.functions.size()), nullptr, arena.data()))
    throw Failure(BIGM_ERROR_INTERNAL, "bug in bigmc: `prepare` returned " + std::to_string(result));
  model.stale = false;
}

void Context::reserve(int64_t bytes) {
  if (uint64_t(bytes) > arena.size())
    arena.allocate(size_t(bytes));
}

int32_t Context::enter(int32_t function, const int64_t *dims, char *scratch) {
  bigm_entry entry = model.module->entries[function];
  void *self = static_cast<bigm_context *>(this);
  void *const *list = buffers[size_t(function)].data();
  return pool ? pool->enter(entry, self, dims, list, scratch) : entry(self, dims, list, scratch);
}

/// Runs the train program's init function with everything but slots going to memory that is thrown away.
void Context::setSlots(const Train &train) {
  if (train.init < 0)
    return;
  const Manifest &manifest = model.module->manifest;
  const Function &init = manifest.functions[size_t(train.init)];
  if (!init.symbols.empty() || !init.inputs.empty() || !init.outputs.empty())
    return; // bigm_init refuses it with a text
  bool any = false;
  uint64_t bytes = uint64_t(init.arenaBytes(nullptr) + 63) / 64 * 64;
  for (const Arg &arg : init.args)
    if (arg.role == Role::Tensor) {
      any |= manifest.tensors[size_t(arg.tensor)].kind == BIGM_SLOT;
      bytes += (manifest.tensors[size_t(arg.tensor)].bytes + 63) / 64 * 64;
    }
  if (!any)
    return;
  Memory away;
  away.allocate(bytes + 64);
  char *spare = away.data() + (init.arenaBytes(nullptr) + 63) / 64 * 64;
  std::vector<void *> &list = buffers[size_t(train.init)], kept = list;
  for (size_t i = 0; i < init.args.size(); ++i)
    if (init.args[i].role == Role::Tensor && manifest.tensors[size_t(init.args[i].tensor)].kind != BIGM_SLOT) {
      list[i] = spare;
      spare += (manifest.tensors[size_t(init.args[i].tensor)].bytes + 63) / 64 * 64;
    }
  int64_t before = std::exchange(seed, train.seed);
  (void)enter(train.init, nullptr, away.data());
  model.stale = true;
  seed = before;
  list.swap(kept);
}

/// Ids and classes that stand in an input reach the code as they are, so they are in their range before it is called: an id has
/// a row in the table, and a class beyond the last would take no part in a loss, which then looks lower than it is.
template <class T> static void checkIdsOf(const Arg &arg, const void *ids, int64_t count, const Function &function) {
  const bool isClass = arg.classes > 0 && (arg.below == 0 || arg.classes <= arg.below);
  const int64_t below = isClass ? arg.classes : arg.below;
  const T *begin = static_cast<const T *>(ids);
  using U = std::make_unsigned_t<T>; // what is negative is large
  const T *bad = std::find_if(begin, begin + count, [&](T id) { return uint64_t(U(id)) >= uint64_t(below); });
  if (bad == begin + count)
    return;
  const std::string range = std::to_string(below) + ", 0 to " + std::to_string(below - 1);
  throw Failure(BIGM_ERROR_NOT_FOUND, "input `" + arg.name + "` of `" + function.name + "` holds " + std::to_string(*bad) +
                                         (isClass ? ", which is none of its classes: there are " + range
                                                  : " and picks rows of a table of " + range +
                                                        (arg.belowWhere.empty() ? "" : " (" + arg.belowWhere + ")")));
}
static void checkIds(const Arg &arg, const void *ids, int64_t count, const Function &function) {
  switch (arg.dtype) {
  case BIGM_I64: return checkIdsOf<int64_t>(arg, ids, count, function);
  case BIGM_I32: return checkIdsOf<int32_t>(arg, ids, count, function);
  case BIGM_I8: return checkIdsOf<int8_t>(arg, ids, count, function);
  case BIGM_U8: return checkIdsOf<uint8_t>(arg, ids, count, function);
  default: return;
  }
}

void Context::run(const bigm_call &call) {
  const Manifest &manifest = model.module->manifest;
  if (call.function < 0 || size_t(call.function) >= manifest.functions.size())
    throw Failure(BIGM_ERROR_NOT_FOUND, "there is no function of number " + std::to_string(call.function));
  const Function &function = manifest.functions[call.function];
  auto quoted = [&] { return "`" + function.name + "`"; };
  if (!model.module->entries)
    throw Failure(BIGM_ERROR_ARGUMENT, "the module was opened without code, so " + quoted() + " cannot run");
  if ((!call.dims && !function.symbols.empty()) || (!call.inputs && !function.inputs.empty()) ||
      (!call.outputs && !function.outputs.empty()))
    throw Failure(BIGM_ERROR_ARGUMENT, quoted() + " needs dims, inputs and outputs, and one of them is NULL");
  for (size_t i = 0; i < function.symbols.size(); ++i)
    if (call.dims[i] < 1)
      throw Failure(BIGM_ERROR_SHAPE, "`" + function.symbols[i] + "` of " + quoted() + " must be at least 1, and here it is " +
                                          std::to_string(call.dims[i]));
  for (const Requirement &requirement : function.requirements)
    if (requirement.size.eval(call.dims) < 0)
      throw Failure(BIGM_ERROR_SHAPE, function.tooSmall(requirement, call.dims));
  std::vector<void *> &list = buffers[call.function];
  for (size_t i = 0; i < function.inputs.size(); ++i) {
    const Arg &arg = function.args[function.inputs[i]];
    if (!call.inputs[i] || reinterpret_cast<uintptr_t>(call.inputs[i]) % elemInfo(arg.dtype)->size)
      throw Failure(BIGM_ERROR_ARGUMENT, "input `" + arg.name + "` of " + quoted() + " is " +
                                             (call.inputs[i] ? "not aligned to its element" : "NULL"));
    // Sizes that cannot be (a negative extent, more than 64 bits) are refused before any memory is touched.
    int64_t count = function.count(arg, call.dims);
    if (arg.below > 0 || arg.classes > 0)
      checkIds(arg, call.inputs[i], count, function);
    list[function.inputs[i]] = const_cast<void *>(call.inputs[i]);
  }
  reserve(arenaBytes(function, call.dims, call.outputs));
  char *spare = arena.data() + scratchBytes(function, call.dims);
  for (size_t i = 0; i < function.outputs.size(); ++i) {
    const Arg &arg = function.args[function.outputs[i]];
    int64_t bytes = linesOf(function, arg, call.dims);
    void *&place = list[function.outputs[i]];
    place = call.outputs[i];
    if (!place) {
      place = spare;
      spare += bytes;
    } else if (reinterpret_cast<uintptr_t>(place) % elemInfo(arg.dtype)->size) {
      throw Failure(BIGM_ERROR_ARGUMENT, "output `" + arg.name + "` of " + quoted() + " is not aligned to its element");
    }
  }
  seed = call.seed;
  step = call.step;
  steps = call.steps;

  std::unique_lock<std::shared_mutex> alone(model.lock, std::defer_lock);
  std::shared_lock<std::shared_mutex> shared(model.lock, std::defer_lock);
  if (function.writes)
    alone.lock();
  else
    shared.lock();
  if (function.train >= 0 && !model.slotsSet[size_t(function.train)]) {
    setSlots(manifest.trains[size_t(function.train)]);
    model.slotsSet[size_t(function.train)] = 1;
  }
  if (function.usesPrepared)
    prepare();
  if (function.spoilsPrepared)
    model.stale = true;
  SlicedCall sliced(function, call.dims, threads);
  int32_t result = sliced ? sliced.run(static_cast<bigm_context *>(this), model.module->entries[call.function], list.data(), arena.data())
                          : enter(call.function, call.dims, arena.data());
  for (size_t t = 0; t < manifest.trains.size(); ++t)
    if (manifest.trains[t].init == call.function)
      model.slotsSet[t] = 1;
  if (result != 0)
    throw Failure(BIGM_ERROR_INTERNAL, "bug in bigmc: " + quoted() + " returned " + std::to_string(result));
}

} // namespace bigm::rt
