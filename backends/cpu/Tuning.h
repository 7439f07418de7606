// Blocks of contractions that were found by measuring (`bigmc tune`), where a cost model chooses otherwise.
//
// What a contraction is multiplied by, in what order of memory, names it (`keyOf`): the same product in another program is the
// same contraction. A choice is put on its nest before operands are packed, and the plans of ChooseBlock.cpp and Winograd.cpp
// follow it where they can; what does not fit the target's registers is left to the cost model.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mlir::func {
class FuncOp;
}
namespace mlir::bigm::kernel {
class NestOp;
}
namespace mlir::bigm::cpu {

struct Target;

/// How one contraction runs. A field that is 0 is left to the cost model.
struct BlockChoice {
  int64_t winograd = 0;     // the side of a tile of Winograd's filtering, 2 or 4; 1: none
  int64_t vectors = 0;      // registers abreast
  int64_t rows = 0;         // of a block
  int64_t steps = 0;        // of the sum in one pass
  int64_t rowBlocks = 0;    // of a unit of work
  int64_t columnBlocks = 0; // of a unit of work
  bool operator==(const BlockChoice &) const = default;
};
using Tuning = std::map<std::string, BlockChoice>; // by key

/// Attribute of a nest: its choice. Of a contraction and of what packs its operands: the contraction's key, for reports.
constexpr const char *blockAttr = "block", *blockKeyAttr = "block_key";

/// 16 hex digits that name what a contraction multiplies, before its operands are packed.
std::string contractionKey(kernel::NestOp nest);
/// Puts the choices on the contractions of a function; with `named`, their keys too.
void applyTuning(func::FuncOp func, const Tuning &tuning, bool named);
/// The choice for a nest; all fields 0 without one.
BlockChoice choiceOf(kernel::NestOp nest);

/// The ways to run a contraction that differ from each other in one respect.
enum class Respect { Method, Block, Steps, Unit };
constexpr Respect respects[] = {Respect::Method, Respect::Block, Respect::Steps, Respect::Unit};

/// A contraction as it is planned now, and what `bigmc tune` may try instead.
struct Tunable {
  std::string key;
  BlockChoice now;
  bool window = false; // it may run by Winograd's filtering
  /// Choices that differ from `now` in one respect, at most two dozen. What does not fit runs as the cost model says.
  std::map<Respect, std::vector<BlockChoice>> others;
};
/// Of a planned function, each contraction with a key once; depthwise ones, those on AMX and gradients to weights by filtering
/// have no blocks to choose and are left out.
void tunablesOf(func::FuncOp func, const Target &target, std::map<std::string, Tunable> &into);

} // namespace mlir::bigm::cpu
