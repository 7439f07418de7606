// The program's `data`, opened when first needed, as prepared batches.
#pragma once
#include "Session.h"
#include "runtime/data/Loader.h"
#include "runtime/data/Table.h"

namespace bigm::driver {

class DataSets {
public:
  DataSets(Session &session, std::string dataDir, int threads);

  bool hasSplit(const std::string &data, const std::string &split) const;
  const data::Table &table(const std::string &data, const std::string &split);
  /// Records of a split, ascending. Throws data::Error when there is no such split.
  std::vector<int64_t> records(const std::string &data, const std::string &split);

  enum class Mode { Raw, Plain, Train }; // no preparation; `prepare`; `prepare.train` where there is one
  /// Batches in the order of `order`. `seed` decides the augmentation together with a batch's number.
  data::Loader batches(const std::string &data, const std::string &split, std::vector<int64_t> order, int64_t batch,
                       Mode mode, uint64_t seed, int64_t first = 0);
  /// The mode that gives a function its inputs: Raw when they are all raw fields.
  Mode modeFor(const std::string &data, const std::string &function) const;

private:
  Session &session;
  std::string dataDir;
  int threads;
  std::map<std::pair<std::string, bool>, data::Table> tables; // (data, from its test source)
};

} // namespace bigm::driver
