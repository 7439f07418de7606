// A flow at work: a batch of records in, values of each record out.
//
// Between its steps a value stands in a slot: one text or image for each row, or one tensor whose first dimension is the
// rows. Rows are the records, or the elements of all their lists, or those that take a branch; a list or branch comes with a
// slot of numbers, i32 and ascending, which row outside each belongs to. Steps come from the manifest in an order in which
// all can be done.
#pragma once
#include "runtime/data/Picture.h"
#include "runtime/data/Tensor.h"
#include "runtime/generate/Engine.h"
#include "runtime/text/Tokenizer.h"
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bigm::flow {

/// What a flow takes or gives for one record.
struct RichType {
  enum class Kind { Tensor, Text, Record, Image, List, Optional } kind = Kind::Tensor;
  std::string slot;
  data::Elem elem = data::Elem::F32; // Tensor, and its sizes as expressions
  std::vector<std::string> shape;
  std::vector<std::string> labels; // of a label's classes
  std::string classesOf;           // the field, `posts.intent`, whose data names them
  std::string meaning;             // Tensor: "box", "point", "score", or nothing
  bool label = false, stream = false;
  int64_t classes = 0;             // Tensor of labels: how many there are, where that is a number
  std::vector<std::string> names; // Record, beside fields
  std::vector<RichType> fields;   // List, Optional: one, `slot` being that of its rows' numbers
};
struct Step {
  std::string op;
  std::vector<std::string> inputs, outputs;
  std::string name;                                                 // of the function, for `call`
  std::vector<std::string> strings;
  std::map<std::string, std::variant<double, std::string>> options;
  /// A setting that is a number. One that a training fits is here by its name, `=verdict.score`, until `run` has looked it up.
  double number(const char *setting, double otherwise) const;
};
struct Flow {
  std::string name;
  std::vector<std::pair<std::string, RichType>> inputs;
  std::vector<Step> steps;
  RichType result;
};
/// The flows of a manifest. Throws std::runtime_error for one that is not as docs/abi.md says.
std::vector<Flow> flowsOf(std::string_view manifest);

using Texts = std::vector<std::string>;
using Images = std::vector<std::shared_ptr<const data::Picture>>; // shared by all rows that look at one
/// Values by slot.
struct Slots {
  int64_t records = 0;
  std::map<std::string, Texts> texts;
  std::map<std::string, Images> images;
  std::map<std::string, data::Tensor> tensors;
};
/// Runs a compiled function on the tensors of its inputs' names and gives those of its outputs.
using Caller = std::function<std::map<std::string, data::Tensor>(const std::string &function, const data::Batch &)>;

/// What steps need from outside.
struct Surroundings {
  /// Called with pieces of the text of slot `streamed` as they are written, with the row's number; false ends that text. May be
  /// empty.
  std::function<bool(int64_t row, std::string_view piece)> stream;
  std::string streamed;
  Caller call;
  /// Calls `body` with every number below `parts`, several at a time on threads of their own, each with what runs a function on
  /// that thread alone. May be empty: then there is one thread.
  std::function<void(size_t parts, const std::function<void(size_t part, const Caller &call)> &body)> inParts;
  /// What `call` gives for no rows at all: tensors whose first dimension is 0.
  std::function<std::map<std::string, data::Tensor>(const std::string &function)> none;
  /// How many threads steps on pictures and `inParts` may use; 0, without `inParts`: all cores.
  int threads = 0;
  /// Told how long each step took; may be empty.
  std::function<void(const Step &step, double milliseconds)> timed;
  /// The picture of a file. Throws data::Error.
  std::function<std::shared_ptr<const data::Picture>(const std::string &path)> picture;
  /// The program's tokenizer of a name.
  std::function<const text::Tokenizer &(const std::string &name)> tokenizer;
  /// A persistent number of the program: a setting that was fitted.
  std::function<double(const std::string &name)> setting;
  /// What writes with a model, with so many positions and slots at least.
  std::function<generate::Engine &(const std::string &name, int64_t positions, int64_t slots)> engine;
};

/// All steps; `slots` holds the inputs and receives every other value. Throws data::Error for what a user's input does.
void run(const Flow &flow, Slots &slots, const Surroundings &surroundings);

/// One step alone, as `run` does it.
void run(const Step &step, Slots &slots, const Surroundings &surroundings);

/// The inputs of one record from JSON: the value itself where the flow has one input, else an object with all of them.
/// Texts are strings, images the paths of their files, tensors and lists are lists, records objects,
/// and null is a value that is missing. Appends to `slots`; sizes must be those of the records before. Throws
/// data::Error.
void append(const Flow &flow, const nlohmann::ordered_json &record, Slots &slots, const Surroundings &surroundings);
/// A value on its way into a flow; its type says which of these it is.
struct Item {
  std::string text;
  std::shared_ptr<const data::Picture> image;
  data::Tensor tensor;     // of one row, without the rows' dimension
  std::vector<Item> items; // Record: its fields, in the type's order; List, Optional: the elements
};
/// The inputs of one record, all of them and of their kinds. Sizes of tensors must be those of the records before. Throws
/// data::Error, and then nothing of the record is kept.
void append(const Flow &flow, std::vector<Item> inputs, Slots &slots);
/// Throws data::Error where an input of the type cannot have these sizes.
void expectSizes(const std::string &name, const RichType &type, const std::vector<int64_t> &sizes);
/// The rows of a list or branch that belong to row `i` outside, from the first up to but not including the second.
std::pair<int64_t, int64_t> rowsBelow(const Slots &slots, const std::string &numbers, int64_t i);
/// Numbers as results have them: nested lists, classes by their names where they have some.
nlohmann::ordered_json asJson(const data::Tensor &numbers, const std::vector<std::string> &labels);
/// What record `i` got, as JSON: a text, numbers in nested lists, a class by its name (or number), an object, a list; null
/// for what is missing.
nlohmann::ordered_json result(const Flow &flow, const Slots &slots, int64_t i);

} // namespace bigm::flow
