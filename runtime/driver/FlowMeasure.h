// A flow's answers for the records of a split, and its metrics.
#pragma once
#include "FlowHost.h"
#include "Measure.h"
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

namespace bigm::driver {

/// The flow answers the records of the split (someOf: `most` of them) in batches. Throws data::Error, naming the record, for
/// one that it refuses.
Measured measureFlow(FlowHost &host, const EvaluateProgram &evaluate, const std::string &split, int64_t most = 0);

/// The records of a split (someOf: `most` of them), and the flow's answers to some of them at a time.
class FlowRecords {
public:
  FlowRecords(FlowHost &host, const EvaluateProgram &evaluate, const std::string &split, int64_t most = 0);
  size_t count() const { return records.size(); }
  /// Answers the records of these places in the split, calling `use` with the place, the answer and the milliseconds of each.
  using Use = std::function<void(size_t place, nlohmann::ordered_json answer, double milliseconds)>;
  void answer(const std::vector<size_t> &places, const Use &use);
  /// What the data says of the record.
  nlohmann::ordered_json truth(size_t place) const;
  /// Of the answers so far: words of lists that `pieces` took, and those of which nothing was left.
  int64_t words = 0, cutWords = 0;

private:
  FlowHost &host;
  const EvaluateProgram &evaluate;
  const flow::Flow flow; // whose classes have no names
  std::vector<int64_t> records;
  const data::Table &table;
  std::string split;
  // What the records do not hold themselves is made where it is wanted alone.
  bool derivesInputs = false;     // the flow is given such a field
  std::set<std::string> compared; // such fields that answers are compared with
};

} // namespace bigm::driver
