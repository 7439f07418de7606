// Counts what a linked library allocates in calls of a steady state, on any thread: malloc and its kin are replaced.
// Prints one line for each function, batch and number of threads; ends with 1 if any allocates.
#include "CountAllocations.h"
#include <cstdio>
#include <digits.h>
#include <vector>

using count::steady;

int main() {
  long sum = 0;
  if (!steady(10, 10, [] { delete new volatile int(1); })) {
    std::puts("allocations are not counted");
    return 1;
  }
  for (int threads : {1, 2}) {
    digits_model model;
    if (digits_open(&model, nullptr, threads) != BIGM_OK)
      return std::puts(bigm_last_error()), 1;
    for (int batch : {1, 37}) {
      std::vector<float> image(size_t(batch) * 784, 0.5f), logits(size_t(batch) * 10);
      std::vector<uint8_t> picture(size_t(batch) * 784, 100);
      std::vector<int32_t> digit(static_cast<size_t>(batch), 3);
      std::vector<float> score(static_cast<size_t>(batch));
      float loss = 0;
      bigm_status status = BIGM_OK;
      auto measure = [&](const char *name, int calls, auto &&call) {
        long count = steady(calls, calls, [&] { status = status == BIGM_OK ? call() : status; });
        std::printf("%s, batch %d, %d threads: %ld\n", name, batch, threads, count);
        sum += count;
      };
      measure("forward", 150, [&] { return digits_forward(&model, batch, image.data(), logits.data()); });
      measure("predict", 150, [&] { return digits_predict(&model, batch, picture.data(), digit.data(), score.data()); });
      measure("train_step", 40, [&] { return digits_train_step_all(&model, batch, digit.data(), image.data(), &loss); });
      if (status != BIGM_OK)
        return std::puts(bigm_last_error()), 1;
    }
    digits_close(&model);
  }
  std::printf("%ld allocations\n", sum);
  return sum ? 1 : 0;
}
