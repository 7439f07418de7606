// Batches, prepared ahead of time on other threads.
//
// Batch k is the k-th run of `batch` records of the given order (the last may be shorter). Threads take batch numbers,
// gather the records, call `prepare` and put the result in its place; the consumer takes them in order. A batch depends
// on its number alone, so neither order nor bits depend on how many threads there are.
#pragma once
#include "Table.h"
#include <functional>
#include <memory>

namespace bigm::data {

/// Turns raw fields into what the model reads. `worker` is below LoaderOptions::workers, and no two calls with one
/// `worker` run at once, so each may own a context. May throw: the error reaches the consumer at that batch.
using Prepare = std::function<void(Batch &batch, int64_t number, int worker)>;

struct LoaderOptions {
  int64_t batch = 1;
  int64_t first = 0;    // number of the first batch to give: where a resumed epoch goes on
  int workers = 1;      // background threads; 0 prepares in the consumer's thread
  int ahead = 4;        // at most so many batches wait
};

class Loader {
public:
  /// `table` must outlive the loader.
  Loader(const Table &table, std::vector<int64_t> records, LoaderOptions options, Prepare prepare);
  ~Loader();
  /// The next batch; false after the last. Rethrows what `prepare` threw.
  bool next(Batch &batch);
  int64_t batches() const; // in all, from number 0

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace bigm::data
