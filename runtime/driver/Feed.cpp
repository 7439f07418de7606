#include "Feed.h"
#include "runtime/data/Order.h"
#include <algorithm>

namespace bigm::driver {

int64_t batchesPerEpoch(DataSets &data, const PhaseProgram &phase) {
  int64_t records = int64_t(data.records(phase.data[0], "train").size());
  return (records + phase.batch - 1) / phase.batch;
}

int64_t stepsPerEpoch(DataSets &data, const PhaseProgram &phase) {
  return (batchesPerEpoch(data, phase) + phase.accumulate - 1) / phase.accumulate;
}

Feed::Feed(DataSets &data, const TrainProgram &train, const PhaseProgram &phase, uint64_t seed, int64_t first, size_t most)
    : several(std::any_of(train.phases.begin(), train.phases.end(), [&](auto &p) { return p.data != train.phases[0].data || p.data.size() > 1; })) {
  size_t length = 0;
  for (auto &name : phase.data) {
    auto order = data.records(name, "train");
    uint64_t own = parts.empty() ? seed : data::mixSeed(seed, parts.size());
    data.shuffle(name, order, own, 0);
    if (parts.empty()) {
      length = most ? std::min(order.size(), most) : order.size();
    } else {
      auto again = order;
      for (uint64_t round = 1; order.size() < length; ++round) {
        data.shuffle(name, again, own, round);
        order.insert(order.end(), again.begin(), again.end());
      }
    }
    order.resize(length);
    data.bucket(name, "train", order, phase.batch * phase.accumulate, own);
    parts.emplace_back(new Part{name, data.batches(name, "train", std::move(order), phase.batch, DataSets::Mode::Train, own, first)});
  }
}

bool Feed::next(data::Batch &batch) {
  if (!several)
    return parts[0]->loader.next(batch);
  data::Batch all;
  for (auto &part : parts) {
    data::Batch one;
    if (!part->loader.next(one))
      return false;
    all.size = one.size;
    for (auto &[field, tensor] : one.fields)
      all.fields.emplace(part->name + "." + field, std::move(tensor));
  }
  batch = std::move(all);
  return true;
}

} // namespace bigm::driver
