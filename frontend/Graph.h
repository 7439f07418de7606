// The typed program: what the checker hands to the compiler, free of both ANTLR and MLIR.
//
// The checker runs the program on symbolic shapes and records every tensor operation it meets, so models, library
// functions, optimisers and metrics all arrive here as flat functions over a small set of operations, each with its
// type and its place in the source. `emit` turns a Function into one function of the bigm dialect, node by node.
//
// Invariants: operands are defined before their use; every dimension is a constant or an expression over the
// function's symbols; types are final (nothing is inferred later).
#pragma once
#include "Bytes.h"
#include "Dim.h"
#include "Source.h"
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace bigm {

enum class Elem { F32, F64, BF16, F16, I64, I32, U8, I8, Bool };
const char *name(Elem); // "f32", "bool", ...

struct TensorType {
  Elem elem = Elem::F32;
  std::vector<Dim> shape;
  Dim classes = 0; // `label[C]`: number of classes of an I32 tensor; 0 when it is no label
  std::string str() const; // `f32[N, 10]`
};

/// Index of a value inside one Function.
using Value = uint32_t;

/// An index expression of `view`, `fold` and `contract`: sum of coefficient * dimension + offset.
/// Dimension numbers count the iteration space of the op (see each op).
struct AffineIndex {
  std::vector<std::pair<uint32_t, int64_t>> terms; // (iteration dimension, coefficient), sorted by dimension
  int64_t offset = 0;
};
using AffineIndices = std::vector<AffineIndex>; // one for each dimension of the operand

/// The operations. Shapes below write `d` for the result's dimensions.
enum class Op {
  // Leaves.
  Constant, // attr number: every element. Result any shape.
  Iota,     // attr dim: element = its index along `dim`. Result any shape, integer or float.
  Random,   // operand seed i64[]; attr stream: int. Uniform in [0, 1), counter-based: element i of the flattened result
            // depends on (seed, stream, i) alone.
  // Pointwise, all operands and the result of one shape. Results keep the element type unless said.
  Neg, Abs, Sign, Exp, Log, Log1p, Expm1, Sqrt, Rsqrt, Sin, Cos, Atan, Tanh, Erf, Sigmoid, Floor, Ceil, Round,
  Not,                             // bool
  Cast,                            // to the result's element type; float to int truncates, bool to number gives 0 or 1
  Add, Sub, Mul, Div, Pow, Max, Min, Mod,
  BitAnd, BitOr, BitXor, ShiftLeft, ShiftRight, // integers
  And, Or,                         // bool
  Eq, Ne, Lt, Le, Gt, Ge,          // result bool
  Select,                          // (bool, a, b)
  // Shape.
  Reshape, // row-major order of elements kept; product of sizes equal
  View,    // attr map: operand index for each operand dimension, over d. Transposes, broadcasts, strides, windows.
           // Every index is in range for all of d.
  Fold,    // adjoint of View: operand g over iteration space d', result x[i] = sum of g[d'] with map(d') = i.
           // attr map: one index for each dimension of the result, over the operand's dimensions.
  Pad,     // attrs low, high, interior: ints for each dimension (may be negative: crops); operand 2: the value, a
           // scalar tensor
  Concat,  // attr dim
  // Reductions: attr dims (sorted ints); the dims vanish from the result.
  ReduceSum, ReduceMax, ReduceMin, ReduceProd,
  ArgMax, ArgMin, // attr dim; result I32; the first of equals
  // Contraction: result[d] = sum over r of lhs[lhsMap(d, r)] * rhs[rhsMap(d, r)]. Iteration dimensions are the result's
  // dimensions, then the reduced ones; attr reduced: their sizes. Maps may be affine (`i*stride + a`), so matrix
  // products, convolutions (also grouped, dilated, depthwise) and their gradients are this one operation.
  Contract, // attrs lhs_map, rhs_map, reduced. Factors of 8 bits (u8, i8) may have sums of i32.
  // Irregular.
  Gather,     // (table [V, ...], ids int [I...]) -> [I..., ...]; ids out of range are an error found by the data check
  ScatterAdd, // (updates [I..., ...], ids [I...]), result [V, ...]: adjoint of Gather
  Warp,       // (image f32 [N, C, H, W], matrix f32 [N, 2, 3]) -> [N, C, h, w]; attr fill: number. Bilinear; the
              // matrix maps output pixel centres to input ones.
  Resize,     // image [N, C, H, W] -> [N, C, h, w]; attrs mode: "bilinear" | "nearest" | "area" | "bicubic",
              // antialias: int
  Attention,  // (q f32 [N, T, H, D], k [N, S, H, D], v [N, S, H, D], perhaps mask bool [N, S],
              // perhaps bias f32 [N or 1, H or 1, T or 1, S], added to scores) -> [N, T, H, D]; attrs causal, masked: int,
              // scale: number (1 / sqrt(D) without)
  // (q f32 [N, T, H, D], k [N, T, G, D], v [N, T, G, D], keys [B, L, G, D], values [B, L, G, D], slot i32[N], past i32[N])
  // -> [N, T, H, D]: query i of sequence n sees rows below past[n] of keys and values at slot[n], then k and v up to i.
  CachedAttention,
  // Recurrence: operands (starts..., xs [T, ...]..., captures...), results: the states after the last step, then what the
  // steps give, [T, ...]. Node::body is one step: (states, one row of each of xs, captures) -> (states, what it gives).
  // attrs starts, xs: how many there are; steps: T; reverse: int, whether the last row comes first.
  Scan,
  // Calculus: operands (y scalar, x...), results: dy/dx for each x. Expanded by the autodiff pass.
  Gradient,
  StopGradient, // identity with zero gradient
};
const char *name(Op); // snake_case: "reduce_sum"

using Attr = std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<Dim>, AffineIndices>;

struct Function;
struct Node {
  Op op;
  std::vector<Value> operands;
  std::map<std::string, Attr> attrs;
  Value first = 0;         // number of the first result
  unsigned results = 1;    // how many (only Gradient and Scan have other than 1)
  SourceRange where;
  std::string scope = {};  // path of the model instance: "digit_model.stem.conv2d"
  SourceRange caller = {}; // when it stands in the library: the user's call that led there
  uint32_t space = 0;      // in a flow: whose rows it computes, an index of the flow's spaces (sema/Flow.h)
  std::shared_ptr<const Function> body = nullptr; // of Scan; its symbols are among those of the function
};

/// What an argument of a Function is.
enum class Role {
  Input,  // given by the caller: a field of the batch, an input of the model
  Tensor, // persistent: `tensor` indexes Program::tensors
  Seed,   // i64[]: changes every step
  Step,   // f32[]: number of optimiser steps taken before this one
  Steps,  // f32[]: how many there will be in all
};
struct Arg {
  std::string name;
  Role role = Role::Input;
  int tensor = -1;
  TensorType type;
  SourceRange where;
};
/// A result: `update` writes persistent tensor `tensor` in place, otherwise the caller gets it.
struct Output {
  std::string name; // "loss", "logits", "accuracy", ...
  Value value = 0;
  int tensor = -1;
};

struct Function {
  std::string name; // "digit_model.head.step"
  std::vector<std::string> symbols;
  std::vector<Arg> args; // argument i is value i
  std::vector<Node> nodes;
  std::vector<Output> outputs;
  std::vector<TensorType> types; // by Value
};

/// Adds the symbols that occur in the body of a node, and in bodies inside of it.
void symbolsOf(const Node &node, std::vector<std::string> &out);

/// A persistent tensor.
struct TensorDecl {
  enum class Kind { Param, State, Slot, Metric, Fit } kind = Kind::Param;
  std::string name; // "digit_model.stem.conv2d.weight", slots "digit_model.stem.conv2d.weight/m"
  TensorType type;
  SourceRange where;
  Bytes initial = {}; // elements in row-major order where a file of the program gives them, which no init function does
  // What precision/Narrow.h made of an f32 weight: kept in fewer bits, as i8 with a tensor of scales along dimension `axis`.
  bool narrowed = false;
  int scales = -1, axis = 0;
  int balance = -1, along = 0; // of an i8 one whose activations are balanced: their factors, and the dimension that these go along
  std::vector<float> values = {}; // elements that the compiler found, such as ranges of activations; the manifest has them
};

// ---------------------------------------------------------------- what the drivers read (it goes into the manifest)
/// A literal or call that the drivers interpret: `idx("a.gz", "b.gz")`, `flat`, numbers.
struct Spec {
  std::string name; // "idx", "csv", "folder", "npy"
  std::vector<std::string> strings;                             // positional strings
  std::map<std::string, std::variant<double, std::string>> options; // named arguments
};
struct Field {
  std::string name;
  TensorType type; // of one record, no batch dimension
  std::vector<std::string> labels; // names of the classes where the program gives them
  // "tensor", "label", "image" (pixels of a fixed size), "text", "photo" (a picture of any size), "list"
  std::string kind;
  std::string meaning;      // "box", "point", "score" where its type says so
  std::vector<Field> parts; // of a list's elements; a batch has NAME.PART, [N, B, ...], and NAME.length, i32[N]
  std::optional<std::string> missing; // what stands where the data has nothing, as a file would write it; of a list ""
};
/// What the data loader does with texts and pictures of any size before anything compiled runs. `tokens`: field `input`
/// through tokenizer `tokenizer` to the batch's tensor `output`, i32[N, T], and `output.length`, i32[N], how many of each
/// row are no padding. Else a step of runtime/flow on the pictures of `input`, with its settings; `outputs` has all that a
/// step makes, `output` being the first.
struct HostStep {
  std::string input, tokenizer, output;
  int64_t atMost = 0, length = 0; // ids of a row at most; of each row, cut or padded; 0: as many as the longest has
  bool special = true;            // with the special tokens of the tokenizer
  bool each = false;              // `input` is a text of the elements of a list: one id each, as far apart as they
  std::string op = "tokens";
  std::vector<std::string> outputs;
  Spec settings;
};
/// A tokenizer that the program names: from a file, or fitted on a text field of a training split.
struct TokenizerProgram {
  std::string name, kind;         // "file", "characters", "words"
  std::string file;
  std::string data, split, field;
  int64_t atLeast = 1, atMost = 0; // 0: as many tokens as there are
  bool unknown = false, lower = false;
  bool elements = false; // `field` is a text of the elements of a list: words between spaces, cut no further
};
struct DataProgram {
  std::string name;
  Spec from, test, valid; // the name of one that is not there is empty
  std::vector<Field> fields;
  std::vector<std::pair<std::string, double>> split; // name -> count, or share when below 1
  uint64_t seed = 0;
  bool inOrder = false; // the split goes by position
  std::vector<HostStep> host;
  std::string bucket; // output of the host step by whose lengths records are put together; empty when none
  std::vector<std::string> derived; // names of derived fields, outputs of `prepare`
  std::string prepare;              // "digits.prepare": raw fields -> raw and derived fields; empty when none
  std::string prepareTrain;         // with augmentation; takes the seed; empty when none
  SourceRange where;
};
struct FitProgram {
  std::string name, data, split;
  // Functions: set the states; take the raw fields of a batch (deriving what they need) and update the states and the
  // fitted tensors.
  std::string begin, step;
};
struct PhaseProgram {
  std::string name;
  double epochs = 1;
  int64_t steps = 0; // in place of epochs, when above 0
  int64_t batch = 0;
  std::string step;      // function
  // Function: takes a batch, updates states of frozen parts that nothing updated before (running statistics), as a
  // training step would; nothing else. Empty when there are none.
  std::string estimate;
  std::string startFrom; // file, empty when none
  bool startIfPresent = false;
  bool ownSchedule = false; // the optimiser stands in the phase, so Step and Steps count the phase alone
  // `stop when valid.accuracy flat for 2`: metric path and patience; or a comparison.
  std::string stopMetric; // empty when none
  std::string stopCompare; // "flat", ">=", "<="
  double stopValue = 0;
  std::vector<std::string> learned; // names of the tensors that this phase changes by gradients
  // The data sets that it reads. With several in the training, inputs of its functions are called SET.field, each step takes
  // as many records of every one, and an epoch is a pass through the first.
  std::vector<std::string> data;
  std::vector<std::string> validates; // names of the evaluates of flows that are measured after each epoch
  // What frozen/Frozen.h made, empty without it: the function that gives `step` its inputs `frozen.…`; a step of the training's
  // `evaluate` that is cut alike, and the function that gives that its own.
  std::string frozen = {}, validStep = {}, validFrozen = {};
  // `accumulate 4`: `gather` takes a batch and adds its gradients, times its records, to what it has; `step`, which takes the
  // last of them, divides by all records and takes one step. Empty where each batch is a step.
  int64_t accumulate = 1;
  std::string gather = {};
  // `ema 0.999`: the tensors that have an average, called NAME/ema.
  std::vector<std::string> averaged = {};
};
struct TrainProgram {
  std::string name, data; // `data`: the first where there are several
  std::string init;     // function: seed -> all params and states; slots as well
  std::string forward;  // model inputs -> outputs, inference mode; empty where the training has no model of its own
  // Raw fields -> decoded outputs; may be empty. For each head with a label field NAME: `NAME` (i32[N], the class) and
  // `NAME.score` (f32[N], its probability).
  std::string predict;
  std::string validate; // name of the EvaluateProgram that validation runs; may be empty
  uint64_t seed = 0;
  std::vector<PhaseProgram> phases;
};
/// One number of a report. `outputs` of the step with `element` count > 1 are tables (confusion).
struct MetricProgram {
  std::string name;   // "accuracy", "hair"
  std::string output; // output of the step function
  Spec host = {};     // of a flow, in place of `output`: a metric of the runtime, the paths of what it compares, its settings
};
struct RequireProgram {
  std::string text; // as written: "accuracy >= 0.992"
  std::string metric, compare; // ">=", ...
  double value = 0;
};
/// A setting of a flow that an `evaluate` fits: of the `steps` + 1 values from `from` to `to` whose answers hold all bounds,
/// the one with the least (or most) of a metric, the lowest where several have it.
struct SettingFit {
  std::string name, tensor; // "sure", "verdict.sure"
  std::string metric;
  bool most = false;
  std::vector<RequireProgram> bounds;
  double from = 0, to = 1;
  int64_t steps = 100;
};
struct EvaluateProgram {
  std::string name, train, data, split; // "digit_model", "digits", "test"
  std::string begin, step; // functions: reset the metric states; take a batch, update them, give the metrics so far
  std::string flow;        // of which answers are measured, in place of a train; empty when none
  std::vector<std::pair<std::string, std::string>> inputs; // of the flow -> fields of the data
  std::vector<MetricProgram> metrics;
  std::vector<RequireProgram> requires_;
  std::vector<SettingFit> fits; // of the flow's settings
};
/// The functions that write texts with a model (sema/Incremental.h). Both take numbers of tokens [N, T] and how many of
/// them count in each sequence, and give the logits [N, V] behind the last of these, and rows [N, T, G, D] of keys and
/// values for each causal attention. `decode` also takes the tensors [B, L, G, D] that keep such rows of earlier positions
/// (`cache.0.k`), and for each sequence which of B it has (`slot`) and how many rows stand there (`past`).
struct GenerateProgram {
  std::string name;            // "gpt"
  std::string prefill, decode; // functions
  std::string ids;             // the input that takes the tokens
  int64_t caches = 0;          // tensors that keep rows: two for each attention
  int64_t positions = 0;       // how many positions the model can tell apart; 0 where there is no end
};
struct DeployProgram {
  std::string train;
  std::vector<std::string> targets;
  std::string precision = {};         // "f32", "bf16", "f16", "int8"; empty where it says none
  std::vector<std::string> keep = {}; // parts that stay as they are, by their paths in the model
  std::string data = {}, split = {};  // int8: of which data and split activations have their ranges; empty: they stay f32
  std::string version;
};

/// One step on values that are no tensors (texts, images), done by the runtime between compiled functions. Values are
/// slots with names, each with one row for each record, or for each element of a list or of a branch; the first dimension
/// of a tensor's slot is that of the rows. The rows of a list or branch come with a slot of numbers, i32 and ascending:
/// which row of the space outside each belongs to.
struct FlowStep {
  // "call": the function `settings.name` takes and gives slots by their names; on the rows of a list or branch,
  // `settings.options["rows"]` is the slot of its numbers and `settings.strings` names the inputs that have its rows.
  // Else an operation of runtime/flow. A text that begins with `=` names a persistent number in place of an option.
  std::string op;
  std::vector<std::string> inputs, outputs;
  Spec settings;
};
/// What a flow takes or gives for one record.
struct RichType {
  enum class Kind { Tensor, Text, Record, Image, List, Optional } kind = Kind::Tensor;
  std::string slot;   // Tensor, Text, Image; List, Optional: of the numbers of its rows
  TensorType tensor;  // without the batch dimension
  std::string meaning; // Tensor: "box", "point" or "score" where its type says so
  std::vector<std::string> labels; // Tensor: names of its classes where the program gives them
  std::string classesOf;           // Tensor: the field, `posts.intent`, whose classes it has, where the data names them
  bool stream = false; // Text: comes piece by piece
  std::vector<std::string> names; // Record, beside fields
  std::vector<RichType> fields;   // List, Optional: one, in the space of its rows
};
struct FlowProgram {
  std::string name;
  std::vector<std::pair<std::string, RichType>> inputs; // slots have the inputs' names
  std::vector<FlowStep> steps;                          // in an order that they can be done in
  RichType result;
};

/// Where the weights of an instance come from: `model name = Model(...) from pretrained("folder") { ... }`.
struct ModelSource {
  std::string name; // of the instance: its tensors are called `name.…`
  std::string kind; // "pretrained"; "onnx": the tensors have their `initial`
  std::string path; // as written; the drivers know where to look
  std::vector<std::pair<std::string, std::string>> renames; // of the file -> of the model, without `name.`; or dropped
};

struct Program {
  std::string name; // the file's stem
  std::vector<TensorDecl> tensors;
  std::vector<Function> functions;
  std::vector<DataProgram> data;
  std::vector<TokenizerProgram> tokenizers; // made before all fits, in this order
  std::vector<FitProgram> fits;
  std::vector<TrainProgram> trains;
  std::vector<EvaluateProgram> evaluates;
  std::vector<GenerateProgram> generates;
  std::vector<DeployProgram> deploys;
  std::vector<ModelSource> sources;
  std::vector<FlowProgram> flows;
};

} // namespace bigm
