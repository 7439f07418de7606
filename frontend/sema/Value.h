// What an expression is worth while the checker evaluates it.
//
// Numbers, dimensions, words and callables exist only here, at check time; a tensor is a handle of a recorded operation.
// Poison is what an erroneous expression is worth: it is silent in everything it meets, so one mistake is one message.
// Unknown stands for a setting without a value, when a model that nothing instantiates is checked.
#pragma once
#include "frontend/Ast.h"
#include "frontend/Graph.h"
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace bigm::sema {

/// A source file with its declarations by name.
struct Module {
  std::string name; // "std.nn"; empty for the program itself
  bool library = false;
  ast::File tree;
  std::map<std::string, const ast::Decl *> decls;
  std::vector<std::string> names; // of a library module: all that it declares, also what was not parsed
  std::vector<Module *> uses;
  bool incomplete = false; // a module that it uses is missing: an unknown name may be from there
};

struct Callable;

/// A letter of index notation: `b` in `y[b, o] = ...`.
struct Letter {
  std::string name;
  int order = 0; // result letters first, then reduced ones as met
  std::optional<Dim> size;
  SourceRange where, sizedBy;
};

/// The shortest text that is this number.
std::string shown(double x);

struct Val {
  enum class Kind { Poison, Unknown, None, Int, Number, Bool, Word, String, Tensor, Record, List, Callable, Text, Tokenizer,
                    Image,    // of a flow's rows
                    Elements, // of a flow: a list for each row, all elements being rows of a space of their own
                    Perhaps };  // of a flow: a value for some of the rows, these being a space of their own
  Kind kind = Kind::Poison;
  Dim integer;                     // Int: also symbolic
  double number = 0;               // Number
  bool boolean = false;            // Bool
  std::string text;                // Word, String; Text: the field, or the slot of a flow; Image: the slot; Tokenizer: its name
  bool stream = false;             // Text: comes piece by piece
  size_t data = 0;                 // Text, Image outside of flows: the data set, in Program::data
  std::string host;                // Tensor: the loader's step that made it from text; Record: the list field that it is
  Value tensor = 0;                // Tensor
  unsigned function = 0;           // Tensor: serial of the Recorder it belongs to
  TensorType type;                 // Tensor
  std::vector<Letter *> letters;   // Tensor inside index notation: the letter of each dimension
  bool indexed = false;            // Tensor: `letters` says what the dimensions are
  std::string label;               // Tensor: the label field that this is, for predictions
  std::string meaning;             // Tensor: "box", "point", "score"
  size_t space = 0;                // Elements, Perhaps: of their rows, an index of the flow's spaces
  std::vector<Val> items;          // Record, List; Elements, Perhaps: one
  std::vector<std::string> names;  // Record
  std::shared_ptr<Callable> callable;

  bool is(Kind k) const { return kind == k; }
  bool poison() const { return kind == Kind::Poison; }
  bool numeric() const { return kind == Kind::Int || kind == Kind::Number; }
  /// The number of a constant Int or a Number.
  std::optional<double> asNumber() const;
  const Val *field(const std::string &name) const;

  static Val of(Dim d);
  static Val of(double d);
  static Val of(bool b);
  static Val word(std::string w);
  static Val string(std::string s);
  static Val unknown();
  static Val none();
  static Val of(std::shared_ptr<Callable> c);
};

struct Scope {
  struct Binding {
    Val value;
    SourceRange where;
    int tensor = -1;    // a `param` or `state`: its value is what the function has for it now
    bool state = false; // may be assigned
  };
  std::shared_ptr<Scope> parent; // null: the declarations of `module` are next
  Module *module = nullptr;
  std::map<std::string, Binding> names;
  std::optional<std::vector<Dim>> pack; // what `...` stands for
  bool callBorder = false;   // assignments stop here: the scope of one application
  std::optional<size_t> space; // of a flow: values in it have the rows of this space
  bool yields = false;         // the body of a `for`: its last line may be a `yield`
  bool tensorBranch = false; // inside a `when` on a tensor: nothing outside may be assigned
  const Binding *find(const std::string &name) const;
  const std::vector<Dim> *findPack() const;
  /// Whether this is the body of a flow, and not of a model or function that it calls.
  bool inFlow() const;
};
using ScopePtr = std::shared_ptr<Scope>;

/// An instance of a model: where its parameters live. Made once, applied any number of times.
struct Instance {
  std::string path;
  const ast::CallableDecl *decl = nullptr;
  Module *module = nullptr; // of the declaration
  ScopePtr settings;
  SourceRange where;
  std::map<std::string, std::shared_ptr<Instance>> children;
  std::map<std::string, int> tensors;    // parameter or state -> Program::tensors
  std::map<std::string, int> used;       // names given in the application that runs
  bool running = false;
  std::vector<Val> inputs; // what it was applied to first, where that was tensors (of which the type counts) and numbers
};

struct Builtin;
struct Callable {
  enum class Kind {
    Decl,     // a declaration as written: `relu`, `Linear`
    Bound,    // a fn with its settings: `max_pool(2)`
    Model,    // an instance
    Builtin,  // an operation of the language
    Chain,    // `repeat 3 { ... }`: one after the other
    Constant, // a number where a schedule is asked for
  } kind = Kind::Decl;
  const ast::CallableDecl *decl = nullptr;
  Module *module = nullptr;
  ScopePtr settings; // Bound
  std::shared_ptr<Instance> instance;
  const Builtin *builtin = nullptr;
  std::vector<Val> chain;
  Val constant;
};

} // namespace bigm::sema
