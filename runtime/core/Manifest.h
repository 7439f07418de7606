// The manifest as structs: what docs/abi.md says, checked once, so that the rest of the core can rely on it.
//
// After parsing every index is in range, every shape can be evaluated, and the sums over arguments (inputs, outputs)
// are done. What the drivers read (data, fits, evaluates, ...) stays text: they parse `text` themselves.
#pragma once
#include "Cpu.h"
#include "DimExpr.h"
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bigm::rt {

struct TensorDecl {
  std::string name;
  int32_t kind = 0;  // bigm_tensor_kind
  int32_t dtype = 0; // bigm_dtype
  std::vector<int64_t> shape;
  uint64_t bytes = 0;
  bool narrowed = false; // an f32 weight that the program keeps in fewer bits (Narrow.h)
  int32_t scales = -1;   // of an i8 one: the tensor of its scales
  int64_t axis = 0;      // and the dimension that they go along
  int32_t balance = -1;  // of one whose activations are balanced: the tensor of the factors that it was divided by
  int64_t along = 0;     // and the dimension that these go along
  std::vector<float> values; // what it holds where no file of weights says otherwise; empty: zeros, and a file must have it
};

enum class Role { Input, Tensor, Seed, Step, Steps, Output, Prepared };
struct Arg {
  std::string name;
  Role role = Role::Input;
  int32_t dtype = 0;
  std::vector<DimExpr> shape; // of inputs and outputs
  int32_t tensor = -1;        // of persistent tensors
  int32_t prepared = -1;      // of prepared values
  bool writes = false;        // access is write or update
  int64_t classes = 0;
  int64_t below = 0;     // of an input that picks rows of a table: how many that has; 0: picks none
  std::string belowWhere; // the place in the program
};

struct BytesTerm {
  int64_t bytes = 0;
  std::vector<int32_t> of; // symbols
};

/// An expression in a function's symbols that must not be negative in a call.
struct Requirement {
  DimExpr size;
  std::string text, where; // as written in the manifest; the place in the program
};

struct Function {
  std::string name;
  std::vector<std::string> symbols;
  std::vector<Arg> args;
  std::vector<int32_t> inputs, outputs; // indexes into args
  std::vector<Requirement> requirements;
  std::vector<BytesTerm> arena;
  std::vector<int64_t> leastSizes; // of the symbols, for the arena; empty: 1
  /// Elements of the batch, whose size is the symbol, are independent of each other: a call may run for some of them at a time, for as
  /// many as make up for reading the weights again.
  struct Slices {
    int32_t symbol = 0;
    int64_t weights = 1;         // bytes
    std::vector<BytesTerm> pays; // what one element makes up for
  };
  std::optional<Slices> slices;
  bool writes = false, needsSeed = false, needsStep = false; // writes: persistent tensors
  bool usesPrepared = false;   // reads prepared values
  bool spoilsPrepared = false; // writes tensors that prepared values depend on
  int32_t train = -1; // index into Manifest::trains when this is a train step of it, else -1

  /// What is wrong with sizes that do not meet the requirement.
  std::string tooSmall(const Requirement &requirement, const int64_t *dims) const;
  /// Bytes of scratch memory a call needs. Throws Failure when that is beyond 64 bits.
  int64_t arenaBytes(const int64_t *dims) const;
  /// The fewest elements of a slice of the batch, of a function that has slices. They are two or more: kernels may add the numbers of a
  /// single row in another order than those of several, and the threads, which decide how a batch is cut, shall not change a result.
  int64_t sliceOf(const int64_t *dims) const;
  /// Bytes of scratch memory of a slice of `each` elements.
  int64_t arenaBytes(const int64_t *dims, int64_t each) const;
  /// Elements of an argument.
  int64_t count(const Arg &arg, const int64_t *dims) const;
};

/// What the core needs to know of a train program.
struct Train {
  std::string name;
  int32_t init = -1; // function, -1 when none
  int64_t seed = 0;
  std::string digest; // of what it computes; empty when it has no function of its own
};

struct Manifest {
  std::string text;
  std::string name;
  std::vector<TensorDecl> tensors;
  std::vector<Function> functions;
  std::unordered_map<std::string, int32_t> tensorByName, functionByName;
  std::vector<Train> trains;
  std::vector<uint64_t> prepared; // bytes of each prepared value
  Function prepare;               // computes them; its entry follows those of `functions`
  std::vector<char> feedsPrepared; // by tensor: prepared values depend on it
  std::string target;             // of the code that functions, prepared and prepare describe
  int64_t firstEntry = 0;         // in the module's list, of that code

  /// Says by its number which of a program's variants is meant.
  using Pick = std::function<size_t(const std::string &program, const std::vector<Variant> &)>;
  /// Throws Failure that says what is wrong and where. Without `pick` the code is the most portable one.
  static Manifest parse(std::string_view text, const Pick &pick = nullptr);
};

} // namespace bigm::rt
