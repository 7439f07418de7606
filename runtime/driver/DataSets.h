// The program's `data`, opened when first needed, as prepared batches.
#pragma once
#include "RunFolder.h"
#include "Session.h"
#include "Texts.h"
#include "runtime/data/Loader.h"
#include "runtime/data/Table.h"

namespace bigm::driver {

class DataSets {
public:
  DataSets(Session &session, std::string dataDir, int threads);

  /// Told what a reader should know of a source, when it is opened; may be empty.
  std::function<void(const std::string &)> note;

  /// A text cut by a tokenizer of the program, which one from a file must have been read for.
  data::CutText cut(const std::string &tokenizer, const std::string &text) const;
  bool hasSplit(const std::string &data, const std::string &split) const;
  const data::Table &table(const std::string &data, const std::string &split);
  /// Reads the tokenizers that come from files, which windows in tokens need before records can be counted; those that a
  /// run keeps, from there.
  void readTokenizers(const std::string &sourceDir, const RunFolder *run = nullptr);
  /// Makes the tokenizers: reads files (looked for in `sourceDir` and the data folder), fits the others on their splits.
  /// `done` is told the name and the number of tokens of each that is fitted.
  void makeTokenizers(const std::string &sourceDir, const std::function<void(const std::string &, int64_t)> &done);
  const std::map<std::string, text::Tokenizer> &tokenizers() const { return tokenizers_; }
  /// Keeps tokenizers and names of classes in the run folder, and takes them from there. Throws data::Error.
  void saveTexts(const RunFolder &folder) const;
  void loadTexts(const RunFolder &folder);
  /// Records of the training split in random order.
  void shuffle(const std::string &data, std::vector<int64_t> &records, uint64_t seed, uint64_t stream);
  /// `bucket by`: the order with records of like length in each batch. Batches stand in random order, the last, which may
  /// be shorter, at the end.
  void bucket(const std::string &data, const std::string &split, std::vector<int64_t> &order, int64_t batch, uint64_t seed);

  /// Records of a split, ascending. Throws data::Error when there is no such split.
  std::vector<int64_t> records(const std::string &data, const std::string &split);

  enum class Mode { Raw, Plain, Train }; // no preparation; `prepare`; `prepare.train` where there is one
  /// Batches in the order of `order`. `seed` decides the augmentation together with a batch's number.
  data::Loader batches(const std::string &data, const std::string &split, std::vector<int64_t> order, int64_t batch,
                       Mode mode, uint64_t seed, int64_t first = 0);
  /// One record as a batch of its own, with what is derived from it.
  data::Batch prepared(const std::string &data, const std::string &split, int64_t record);
  /// The mode that gives a function its inputs: Raw when they are all raw fields.
  Mode modeFor(const std::string &data, const std::string &function) const;

private:
  Session &session;
  std::string dataDir;
  int threads;
  std::map<std::pair<std::string, std::string>, data::Table> tables; // (data, clause of its source)
  std::map<std::string, text::Tokenizer> tokenizers_;
  std::map<std::string, std::vector<int32_t>> lengths; // of all records of a data set that is bucketed
};

} // namespace bigm::driver
