// Rules by which the names of a weights file become those of a model's tensors.
//
//   "gamma"                                  -> "weight"             a whole name
//   "encoder.layer.{i}.out.{rest}"           -> "layer_{i+1}.out.{rest}"   {one letter}: a number, may be moved by another;
//                                                                    {longer}: any text, dots as well
//   "layer.{i}.[query|key|value].weight"     -> "layer_{i}.qkv.weight"     several tensors, joined along the first
//                                                                    dimension in this order
//   "h.{i}.fc.weight"                        -> "h_{i}.fc.weight^T"  transposed
//   "conv{i}/filters"                        -> "conv_{i}.weight^[3, 2, 0, 1]"   its dimensions in another order: the
//                                                                    first is the file's fourth
//   "pooler.{rest}"                          -> none                 not wanted
//   none                                     -> "{part}.adapter"     not in the file: stays as the program begins it
//
// The first rule whose left side matches the whole name decides. A name that no rule matches stays as it is.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bigm::weights {

struct Renamed {
  std::string name; // of the model's tensor; empty: not wanted
  std::vector<size_t> order; // of the file's dimensions; empty: as they are
  size_t part = 0, parts = 1; // which piece of it
};

class Renames {
public:
  /// Either side may be empty: none. Throws data::Error for a rule that is none.
  explicit Renames(const std::vector<std::pair<std::string, std::string>> &rules);
  Renamed operator()(const std::string &name) const;
  /// Whether a rule says that no file has this tensor of the model.
  bool begins(const std::string &tensor) const;
  /// Left sides that matched no name so far, for messages.
  std::vector<std::string> unused() const;

private:
  struct Piece {
    enum Kind { Literal, Number, Text } kind = Literal;
    std::string text; // literal, or the placeholder's name
    int64_t moved = 0; // right side: added to the number
  };
  struct Rule {
    std::string written;
    std::vector<Piece> left, right;
    bool drop = false;
    std::vector<size_t> order;
    size_t part = 0, parts = 1;
    mutable bool used = false;
  };
  static std::vector<Piece> piecesOf(const std::string &text, bool right, const std::string &rule);
  static bool match(const std::vector<Piece> &pieces, size_t piece, const std::string &name, size_t at,
                    std::vector<std::pair<std::string, std::string>> &bound, size_t &budget);
  std::vector<Rule> rules;
  std::vector<std::vector<Piece>> own; // right sides of `none -> ...`
};

} // namespace bigm::weights
