// The function of a band (Bands.h): `void band(ptr closure, i64 begin, i64 end)`, a unit is a row of the last kernel's result.
#pragma once
#include "backends/cpu/Bands.h"
#include "backends/cpu/EmitNest.h"

namespace mlir::bigm::cpu {

/// A kernel of a band.
struct BandStage {
  kernel::NestOp nest;
  Launch launch;
  SmallVector<Slot> slots; // of the kernel's closure, with the nest's own tensors
};

class BandEmitter {
public:
  explicit BandEmitter(SmallVector<BandStage> stages);

  /// The band's closure: numbers, and the closure of each kernel, from where the band's function copies it to change pointers
  /// from row to row.
  size_t slots() const { return closureSlots; }
  SmallVector<std::pair<size_t, AffineExpr>> numbers; // by slot
  SmallVector<size_t> closures;                       // where that of each kernel begins

  /// Emits the function.
  Launch emit(const std::string &name, OpBuilder &outer);
  /// Rows that a thread should do at a time, so that what it makes anew at its first one does not count.
  int64_t grain(const Target &target);

private:
  class Code;
  SmallVector<BandStage> stages;
  struct Moves {
    std::optional<size_t> picture, row; // slots with the bytes from one to the next
  };
  struct Numbers {
    size_t units = 0, rows = 0;
    SmallVector<Moves> moves; // by slot of the kernel's closure
  };
  SmallVector<Numbers> places;
  size_t closureSlots = 0;
  AffineExpr rowsOf(size_t stage);
};

} // namespace mlir::bigm::cpu
