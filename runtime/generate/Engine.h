// The two functions of a model that write, and what is kept between their calls.
//
// A slot holds one sequence: rows of keys and values for each attention, up to `capacity` positions. New rows come out of
// a call and are copied behind those that are there, so a call moves what it computed and nothing else. After the first
// calls at their sizes nothing is allocated.
#pragma once
#include "bigm/bigm.h"
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace bigm::generate {

/// What the caller did wrong, or what a call of the model reported.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Engine {
public:
  /// `name` is one of the manifest's `generates`; empty where there is one only. `capacity` positions are kept of each of
  /// `slots` sequences; 0: as many as the model can tell apart. `threads` as for a context.
  Engine(bigm_model *model, const std::string &name, int64_t capacity, int64_t slots, int32_t threads = 0);

  /// Puts the first tokens of sequences into slots, in place of what they held. Logits [sequences, vocab] behind the last.
  float *prefill(std::span<const std::span<const int32_t>> sequences, std::span<const int32_t> slots);
  /// Adds one token to each of some slots, of which none stands twice. Logits as above.
  float *decode(std::span<const int32_t> tokens, std::span<const int32_t> slots);
  /// Makes `to` hold what `from` holds.
  void copy(int32_t from, int32_t to);

  int64_t length(int32_t slot) const { return lengths[size_t(slot)]; }
  int64_t capacity() const { return limit; }
  int64_t slots() const { return int64_t(lengths.size()); }
  int64_t vocab() const { return vocabulary; }

private:
  struct Function {
    int32_t number = -1;
    std::vector<int> inputs;    // of each input what it is: `What` or 3 + cache
    std::vector<int> outputs;   // 0 the logits, 1 + cache new rows
    std::vector<int> dims;      // of each symbol what it is: `Size`
    std::vector<const void *> in;
    std::vector<void *> out;
    std::vector<int64_t> sizes;
  };
  enum What { Ids, Count, Past, Slot, Caches };
  enum Size { Sequences, Length, Slots, Capacity };

  void describe(Function &function, const std::string &name, const std::string &manifest);
  float *call(Function &function, int64_t sequences, int64_t length);
  void keep(int64_t sequences, int64_t length, std::span<const int32_t> slots);

  struct Freed {
    void operator()(bigm_context *context) const { bigm_context_destroy(context); }
  };
  std::unique_ptr<bigm_context, Freed> context;
  Function first, next;
  std::string idsName;
  int64_t limit = 0, vocabulary = 0;
  std::vector<int64_t> widths;               // elements of a row, by cache
  std::vector<std::vector<float>> kept, fresh; // by cache
  std::vector<float> logits;
  std::vector<int32_t> ids, counts, pasts, slotNumbers;
  std::vector<int64_t> lengths; // by slot
};

} // namespace bigm::generate
