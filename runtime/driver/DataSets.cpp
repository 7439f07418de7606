#include "DataSets.h"
#include "runtime/data/Error.h"
#include "runtime/data/Order.h"
#include <algorithm>
#include <numeric>

namespace bigm::driver {
namespace {

bool inSplit(const DataProgram &d, const std::string &name) {
  return std::any_of(d.split.begin(), d.split.end(), [&](auto &part) { return part.first == name; });
}
bool fromTest(const DataProgram &d, const std::string &split) {
  return split == "test" && !d.test.name.empty() && !inSplit(d, split);
}

} // namespace

DataSets::DataSets(Session &session, std::string dataDir, int threads)
    : session(session), dataDir(std::move(dataDir)), threads(threads) {}

bool DataSets::hasSplit(const std::string &data, const std::string &split) const {
  const DataProgram &d = session.program().dataNamed(data);
  return inSplit(d, split) || fromTest(d, split) || (d.split.empty() && split == "train");
}

const data::Table &DataSets::table(const std::string &data, const std::string &split) {
  const DataProgram &d = session.program().dataNamed(data);
  bool test = fromTest(d, split);
  auto found = tables.find({data, test});
  if (found == tables.end())
    found = tables.emplace(std::pair{data, test},
                           data::openTable(d.name, test ? d.test : d.from, d.fields, dataDir, unsigned(threads))).first;
  return found->second;
}

std::vector<int64_t> DataSets::records(const std::string &data, const std::string &split) {
  const DataProgram &d = session.program().dataNamed(data);
  const data::Table &t = table(data, split);
  if (fromTest(d, split)) {
    std::vector<int64_t> all(static_cast<size_t>(t.count));
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  return data::splitRecords(d.name, t.source, t.count, d.split, d.seed, split);
}

data::Loader DataSets::batches(const std::string &name, const std::string &split, std::vector<int64_t> order,
                               int64_t batch, Mode mode, uint64_t seed, int64_t first) {
  const DataProgram &d = session.program().dataNamed(name);
  std::string function;
  if (mode != Mode::Raw)
    function = mode == Mode::Train && !d.prepareTrain.empty() ? d.prepareTrain : d.prepare;
  data::LoaderOptions options;
  options.batch = batch;
  options.first = first;
  options.workers = threads > 1 ? std::min(threads, 8) : 0;
  options.ahead = options.workers + 2;
  session.openLanes(std::max(1, options.workers));
  return data::Loader(table(name, split), std::move(order), options,
                      [this, function, seed](data::Batch &b, int64_t number, int worker) {
                        session.prepare(function, b, {data::mixSeed(seed, uint64_t(number)), 0, 0}, worker);
                      });
}

DataSets::Mode DataSets::modeFor(const std::string &name, const std::string &function) const {
  const DataProgram &d = session.program().dataNamed(name);
  for (auto &arg : session.program().function(function).args)
    if (arg.role == "input" &&
        std::none_of(d.fields.begin(), d.fields.end(), [&](auto &f) { return f.name == arg.name; }))
      return Mode::Plain;
  return Mode::Raw;
}

} // namespace bigm::driver
