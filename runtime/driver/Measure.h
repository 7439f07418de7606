// One pass of an `evaluate` over a split, and what its mistakes look like.
#pragma once
#include "DataSets.h"
#include "runtime/report/Report.h"

namespace bigm::driver {

struct Measured {
  /// As the program lists them; tables (confusion) are left out.
  std::vector<std::pair<std::string, double>> metrics;
  /// Every one-element output besides, by output name: `require` may speak of it.
  std::map<std::string, double> scalars;
  /// The mean over records of the output `loss` (which is of one batch) when the step has one that is no metric.
  std::optional<double> loss;
  int64_t records = 0;
  int64_t words = 0, cutWords = 0; // of the lists of `pieces`: all, and those of which nothing was left
  std::optional<double> value(const std::string &metric) const;
};
class FrozenPart;
/// Of `most` records, spread over the split; 0: of all. `frozen` gives the step what a part of the program that does not change
/// makes of records; null: there is none.
Measured measure(Session &session, DataSets &data, const EvaluateProgram &evaluate, const std::string &split, int64_t most = 0,
                 FrozenPart *frozen = nullptr);
/// `most` of the records, as far apart as they can be, in their order.
std::vector<int64_t> someOf(std::vector<int64_t> records, int64_t most);

/// Confusion matrix and worst mistakes for each head of a train's predict function over a split; empty when the
/// program cannot decode its outputs, or when there is nothing to compare with.
std::vector<report::Head> analyse(Session &session, DataSets &data, const TrainProgram &train, const std::string &dataName,
                                  const std::string &split);

/// A head of a predict function: its outputs and, for the names of classes, its argument.
struct HeadOutputs {
  std::string name, score; // score may be empty
  const ArgInfo *arg = nullptr;
};
std::vector<HeadOutputs> headsOf(const FunctionInfo &predict);
/// The name of a class: a label of the head or the field, else its number.
std::string className(const HeadOutputs &head, const data::Field *field, int64_t value);
/// The label field that a head answers: the one of its name, or the only one. May be null.
const data::Field *fieldOf(const HeadOutputs &head, const DataProgram &data);

} // namespace bigm::driver
