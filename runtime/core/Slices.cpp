#include "Slices.h"
#include "Elem.h"
#include "Failure.h"
#include "bigm/kernels.h"
#include <algorithm>

namespace bigm::rt {

static int64_t lines(int64_t bytes) { return checkedAdd(bytes, 63, "the scratch memory") / 64 * 64; }

SlicedCall::SlicedCall(const Function &of, const int64_t *sizes, int32_t threads) : function(of), dims(sizes) {
  if (!function.slices)
    return;
  int64_t size = dims[function.slices->symbol], fewest = function.sliceOf(dims), own = size / threads;
  if (size % threads == 1 && threads > 1) // no slice of one element
    --own;
  if (own < fewest || (own == size && own < 2 * fewest))
    return;
  lanes = threads, ofLane = own, rounds = own / fewest;
  rest = size - lanes * ofLane;
  lists = lines(int64_t(8 * (function.symbols.size() + function.args.size())));
  laneBytes = checkedAdd(lists, lines(function.arenaBytes(dims, (ofLane - 1) / rounds + 1)), "the scratch memory");
}

int64_t SlicedCall::bytes() const {
  int64_t ofRest = rest ? checkedAdd(lists, lines(function.arenaBytes(dims, rest)), "the scratch memory") : 0;
  return std::max(checkedMul(lanes, laneBytes, "the scratch memory"), ofRest);
}

int32_t SlicedCall::run(bigm_context *self, bigm_entry code, void *const *list, char *memory) {
  context = self, entry = code, buffers = list, scratch = memory;
  bigm_entry here = [](void *call, const int64_t *, void *const *, char *) { return static_cast<SlicedCall *>(call)->runHere(); };
  return self->pool ? self->pool->enter(here, this, nullptr, nullptr, nullptr) : runHere();
}

int32_t SlicedCall::runHere() {
  // A lane is one iteration: whoever takes it has its memory until no slice is left. Its loops have no context and so one thread:
  // the loop over lanes counts as over when the last lane is taken, and one that began then would disturb those who still run.
  auto lane = [](void *closure, int64_t begin, int64_t end) {
    auto *call = static_cast<SlicedCall *>(closure);
    for (int64_t i = begin; i < end; ++i)
      for (int64_t slice; !call->failed && (slice = call->next.fetch_add(1)) < call->lanes * call->rounds;)
        if (int32_t result = call->runOfLane(slice, call->scratch + i * call->laneBytes))
          call->failed = result;
  };
  bigm_rt_parallel_for(context, lanes, 1, lane, this);
  if (rest && !failed)
    failed = runSlice(context, lanes * ofLane, rest, scratch);
  return failed;
}

int32_t SlicedCall::runOfLane(int64_t slice, char *memory) {
  // Slices of a round are of one size, those of the first rounds by one larger.
  int64_t round = slice / lanes, larger = ofLane % rounds, least = ofLane / rounds, count = least + (round < larger);
  return runSlice(nullptr, lanes * (least * round + std::min(round, larger)) + slice % lanes * count, count, memory);
}

int32_t SlicedCall::runSlice(bigm_context *threads, int64_t first, int64_t count, char *memory) {
  auto *sizes = reinterpret_cast<int64_t *>(memory);
  auto **places = reinterpret_cast<void **>(sizes + function.symbols.size());
  std::copy(dims, dims + function.symbols.size(), sizes);
  std::copy(buffers, buffers + function.args.size(), places);
  int32_t batch = function.slices->symbol;
  sizes[batch] = count;
  auto move = [&](int32_t i) {
    const Arg &arg = function.args[size_t(i)];
    if (!arg.shape.empty() && arg.shape.front().uses(batch))
      places[i] = static_cast<char *>(places[i]) + first * (function.count(arg, dims) / dims[batch]) * int64_t(elemInfo(arg.dtype)->size);
  };
  for (int32_t i : function.inputs)
    move(i);
  for (int32_t i : function.outputs)
    move(i);
  return entry(threads, sizes, places, memory + lists);
}

} // namespace bigm::rt
