#include "FrozenPart.h"
#include <cstring>
#include <unistd.h>

namespace bigm::driver {

FrozenMemory::FrozenMemory(uint64_t limit)
    : limit(limit ? limit : uint64_t(::sysconf(_SC_PHYS_PAGES)) * uint64_t(::sysconf(_SC_PAGESIZE)) / 4) {}

FrozenPart::FrozenPart(Session &session, const std::string &function, FrozenMemory &memory, bool keeps)
    : session(session), function(function), memory(memory), keeps(keeps) {
  for (auto &arg : session.program().function(function).args)
    if (arg.role == "input")
      inputs.push_back(arg.name);
}

/// The fields that are read, of the records at the given places.
static data::Batch someOf(const data::Batch &batch, const std::vector<std::string> &fields, const std::vector<size_t> &places) {
  data::Batch some;
  some.size = int64_t(places.size());
  for (auto &name : fields) {
    const data::Tensor &all = batch.fields.at(name);
    std::vector<int64_t> shape = all.shape;
    shape[0] = some.size;
    data::Tensor part(all.elem, shape);
    size_t each = all.bytes.size() / size_t(batch.size);
    for (size_t i = 0; i < places.size(); ++i)
      std::memcpy(part.bytes.data() + i * each, all.bytes.data() + places[i] * each, each);
    some.fields.emplace(name, std::move(part));
  }
  return some;
}

void FrozenPart::keep(Kept &kept, const Values &values, const std::vector<int64_t> &records) {
  const auto count = int64_t(records.size());
  if (kept.one.empty())
    for (auto &[name, tensor] : values) {
      data::Tensor one;
      one.elem = tensor.elem;
      one.shape = tensor.shape;
      one.shape[0] /= count; // rows of a record
      kept.bytes += tensor.bytes.size() / size_t(count);
      kept.one.emplace_back(name, std::move(one));
    }
  for (int64_t i = 0; i < count; ++i) {
    auto [there, fresh] = kept.records.try_emplace(records[size_t(i)]);
    if (!fresh)
      continue;
    memory.used += kept.bytes;
    there->second.resize(kept.bytes);
    uint8_t *to = there->second.data();
    for (auto &[name, one] : kept.one) {
      const data::Tensor &from = values.at(name);
      size_t each = from.bytes.size() / size_t(count);
      std::memcpy(to, from.bytes.data() + size_t(i) * each, each);
      to += each;
    }
  }
}

void FrozenPart::fill(data::Batch &batch) {
  if (!keeps || memory.full || batch.records.empty()) {
    bySizes.clear();
    for (auto &[name, tensor] : session.run(function, batch, {}))
      batch.fields[name] = std::move(tensor);
    return;
  }
  std::vector<int64_t> sizes;
  for (auto &name : inputs) {
    auto &shape = batch.fields.at(name).shape;
    sizes.insert(sizes.end(), shape.begin() + 1, shape.end());
  }
  Kept &kept = bySizes[sizes];
  std::vector<size_t> places;
  std::vector<int64_t> fresh;
  for (size_t i = 0; i < batch.records.size(); ++i)
    if (!kept.records.count(batch.records[i])) {
      places.push_back(i);
      fresh.push_back(batch.records[i]);
    }
  if (!places.empty())
    keep(kept, session.run(function, places.size() == batch.records.size() ? batch : someOf(batch, inputs, places), {}), fresh);
  size_t at = 0;
  for (auto &[name, one] : kept.one) {
    std::vector<int64_t> shape = one.shape;
    size_t each = size_t(data::product(shape)) * data::sizeOf(one.elem);
    shape[0] *= batch.size;
    data::Tensor all(one.elem, shape);
    for (size_t i = 0; i < batch.records.size(); ++i)
      std::memcpy(all.bytes.data() + i * each, kept.records.at(batch.records[i]).data() + at, each);
    at += each;
    batch.fields[name] = std::move(all);
  }
  memory.full = memory.used > memory.limit;
}

} // namespace bigm::driver
