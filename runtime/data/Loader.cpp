#include "Loader.h"
#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace bigm::data {

struct Loader::State {
  const Table &table;
  std::vector<int64_t> records;
  LoaderOptions options;
  Prepare prepare;
  int64_t total = 0;

  struct Slot {
    Batch batch;
    std::exception_ptr error;
    bool ready = false;
  };
  std::vector<Slot> slots; // batch k waits in slot k % slots.size()
  std::mutex mutex;
  std::condition_variable freed, filled;
  int64_t taken = 0;  // next number for a worker
  int64_t given = 0;  // next number for the consumer
  bool stop = false;
  std::vector<std::thread> threads;

  State(const Table &table, std::vector<int64_t> r, LoaderOptions o, Prepare p)
      : table(table), records(std::move(r)), options(o), prepare(std::move(p)) {}

  void make(int64_t number, int worker, Slot &slot) {
    slot.error = nullptr;
    try {
      int64_t begin = number * options.batch, end = std::min<int64_t>(begin + options.batch, int64_t(records.size()));
      slot.batch = table.batch(records.data() + begin, end - begin);
      if (prepare)
        prepare(slot.batch, number, worker);
    } catch (...) {
      slot.error = std::current_exception();
    }
  }

  void work(int worker) {
    std::unique_lock lock(mutex);
    for (;;) {
      freed.wait(lock, [&] { return stop || taken >= total || taken < given + int64_t(slots.size()); });
      if (stop || taken >= total)
        return;
      int64_t number = taken++;
      Slot &slot = slots[number % slots.size()];
      lock.unlock();
      make(number, worker, slot);
      lock.lock();
      slot.ready = true;
      filled.notify_all();
    }
  }
};

Loader::Loader(const Table &table, std::vector<int64_t> records, LoaderOptions options, Prepare prepare)
    : state(std::make_unique<State>(table, std::move(records), options, std::move(prepare))) {
  auto &s = *state;
  s.total = (int64_t(s.records.size()) + options.batch - 1) / options.batch;
  s.taken = s.given = options.first;
  s.slots.resize(size_t(std::max(options.ahead, std::max(1, options.workers))));
  for (int w = 0; w < options.workers; ++w)
    s.threads.emplace_back([this, w] { state->work(w); });
}

Loader::~Loader() {
  {
    std::lock_guard lock(state->mutex);
    state->stop = true;
  }
  state->freed.notify_all();
  for (auto &t : state->threads)
    t.join();
}

int64_t Loader::batches() const { return state->total; }

bool Loader::next(Batch &batch) {
  auto &s = *state;
  if (s.given >= s.total)
    return false;
  State::Slot &slot = s.slots[s.given % s.slots.size()];
  if (s.threads.empty()) {
    s.make(s.given, 0, slot);
  } else {
    std::unique_lock lock(s.mutex);
    s.filled.wait(lock, [&] { return slot.ready; });
  }
  std::exception_ptr error = slot.error;
  batch = std::move(slot.batch);
  {
    std::lock_guard lock(s.mutex);
    slot.ready = false;
    ++s.given;
  }
  s.freed.notify_all();
  if (error)
    std::rethrow_exception(error);
  return true;
}

} // namespace bigm::data
