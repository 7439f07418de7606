#include "Slices.h"
#include "Elem.h"
#include "Failure.h"
#include "bigm/kernels.h"
#include <algorithm>

namespace bigm::rt {

static int64_t lines(int64_t bytes) { return checkedAdd(bytes, 63, "the scratch memory") / 64 * 64; }

namespace {
/// Slices of a batch, one as large as another or by one larger, those first.
struct Cut {
  int64_t size, count;
  int32_t threads;

  int64_t begin(int64_t slice) const { return size / count * slice + std::min(slice, size % count); }
  int64_t largest() const { return (size - 1) / count + 1; }
  /// Slices that lanes take; the threads share each of the others.
  int64_t together() const {
    int64_t left = count % threads;
    return 4 * left >= 3 * threads ? count : count - left;
  }
  /// How long a call takes, in elements of one thread.
  double time() const {
    double sum = double(size - begin(together())) / threads;
    for (int64_t slice = 0; slice < together(); slice += threads)
      sum += double(begin(slice + 1) - begin(slice));
    return sum;
  }
};
} // namespace

SlicedCall::SlicedCall(const Function &of, const int64_t *sizes, int32_t count) : function(of), dims(sizes), threads(count) {
  if (!function.slices)
    return;
  int64_t size = dims[function.slices->symbol], fewest = function.sliceOf(dims);
  Cut cut{size, (size - 1) / fewest + 1, threads}, larger{size, std::max<int64_t>(1, size / fewest), threads};
  if (larger.time() <= cut.time())
    cut = larger;
  if (!cut.together() || cut.count == 1) // the kernels of a whole batch share out better than those of a slice
    return;
  slices = cut.count, together = cut.together(), each = cut.largest();
  lanes = std::clamp<int64_t>(together, 1, threads); // one for what all threads do together
  lists = lines(int64_t(8 * (function.symbols.size() + function.args.size())));
  own = checkedAdd(lists, lines(function.arenaBytes(dims, each)), "the scratch memory");
}

int64_t SlicedCall::bytes() const { return checkedMul(lanes, own, "the scratch memory"); }

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
      for (int64_t slice; !call->failed && (slice = call->next.fetch_add(1)) < call->together;)
        if (int32_t result = call->runSlice(nullptr, slice, call->scratch + i * call->own))
          call->failed = result;
  };
  if (together)
    bigm_rt_parallel_for(context, lanes, 1, lane, this);
  for (int64_t slice = together; slice < slices && !failed; ++slice)
    failed = runSlice(context, slice, scratch);
  return failed;
}

int32_t SlicedCall::runSlice(bigm_context *helped, int64_t slice, char *memory) {
  auto *sizes = reinterpret_cast<int64_t *>(memory);
  auto **places = reinterpret_cast<void **>(sizes + function.symbols.size());
  std::copy(dims, dims + function.symbols.size(), sizes);
  std::copy(buffers, buffers + function.args.size(), places);
  int32_t batch = function.slices->symbol;
  Cut cut{dims[batch], slices, threads};
  int64_t first = cut.begin(slice);
  sizes[batch] = cut.begin(slice + 1) - first;
  auto move = [&](int32_t i) {
    const Arg &arg = function.args[size_t(i)];
    if (!arg.shape.empty() && arg.shape.front().uses(batch))
      places[i] = static_cast<char *>(places[i]) + first * (function.count(arg, dims) / dims[batch]) * int64_t(elemInfo(arg.dtype)->size);
  };
  for (int32_t i : function.inputs)
    move(i);
  for (int32_t i : function.outputs)
    move(i);
  return entry(helped, sizes, places, memory + lists);
}

} // namespace bigm::rt
