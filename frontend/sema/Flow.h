// What is known of a flow while its body is evaluated.
#pragma once
#include "Checker.h"
#include <functional>
#include <tuple>
#include <utility>

namespace bigm::sema {

/// What the rows of values are: the records (number 0), the elements of a list, or those rows that take a branch.
struct FlowSpace {
  Dim rows;           // the first dimension of every tensor in it
  size_t outside = 0; // the space whose rows its rows belong to
  Val numbers;        // which row of that each belongs to, i32 and ascending
  std::string slot;   // of the numbers
};

constexpr const char *kRecords = ".records"; // i32[records], a slot that every flow has

/// The values of all rows that stand in a slot.
Val textVal(const std::string &slot, bool stream);
Val imageVal(const std::string &slot);

struct Checker::FlowBuild {
  std::string name;
  std::vector<FlowSpace> spaces;
  size_t space = 0;                       // whose rows the values have that are made now
  std::map<std::string, size_t> slotSpace; // of slots that host steps give
  std::map<std::pair<std::string, size_t>, Val> spread; // texts and images that were taken into a space
  std::map<std::tuple<size_t, size_t, Value>, std::pair<size_t, Val>> spreadLists; // the same of lists: their space and places
  std::vector<FlowStep> steps;         // the host's, in the order of the program
  std::map<Value, std::string> slots;  // tensors that stand in a slot
  std::map<Value, std::string> fitted; // tensors that are fitted settings, by their names
  std::map<Value, Value> lengths;      // of ids: how many in each row are no padding
  std::map<Value, std::string> tokenizers; // of ids: what made them
  std::map<Value, Value> starts;       // of ids of a list's elements: where those of each begin
  std::map<size_t, Dim> widths;        // of lists as dimensions: how many elements the longest of them has
  std::set<std::string> names;         // of slots
  std::set<std::string> sizes;         // names of sizes that steps give
  size_t depth = 0;                    // flows inside flows

  const Dim &rows() const { return spaces[space].rows; }

  /// How many elements the longest of a list's lists has: one size, whatever is made beside its elements.
  const Dim &width(size_t list) { return widths.try_emplace(list, Dim::symbol(freshSize("B"))).first->second; }
  std::string freshSlot(const std::string &base);
  std::string freshSize(const std::string &base);
  /// Cuts the finished function at the host's steps: what needs the results of other steps goes into a function of its
  /// own. Gives the steps, calls among them, in an order in which all can be done; the functions join the program.
  std::vector<FlowStep> cut(const Function &whole, Program &program) const;
};

/// Values made while it lives have the rows of a space.
struct Checker::Within {
  Within(Checker &k, size_t space) : k(k), outside(std::exchange(k.flow->space, space)) { k.rec->space = uint32_t(space); }
  ~Within() {
    k.flow->space = outside;
    k.rec->space = uint32_t(outside);
  }
  Checker &k;
  size_t outside;
};

} // namespace bigm::sema
