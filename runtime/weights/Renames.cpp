#include "Renames.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <charconv>
#include <sstream>

namespace bigm::weights {
using data::fail;

static constexpr size_t kBudget = 100'000; // steps of matching one name

std::vector<Renames::Piece> Renames::piecesOf(const std::string &text, bool right, const std::string &rule) {
  std::vector<Piece> pieces;
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '{') {
      size_t end = std::min(text.find('{', at), text.size());
      pieces.push_back({Piece::Literal, text.substr(at, end - at), 0});
      at = end;
      continue;
    }
    size_t end = text.find('}', at);
    if (end == std::string::npos)
      fail("the rule `{}` opens a brace and does not close it", rule);
    std::string inside = text.substr(at + 1, end - at - 1);
    Piece piece;
    size_t sign = inside.find_first_of("+-");
    if (right && sign != std::string::npos) {
      const char *first = inside.data() + sign + (inside[sign] == '+'), *last = inside.data() + inside.size();
      auto [stop, error] = std::from_chars(first, last, piece.moved);
      if (error != std::errc() || stop != last || std::abs(piece.moved) > 1'000'000)
        fail("the rule `{}` moves `{}` by what is no number", rule, inside.substr(0, sign));
      inside.resize(sign);
    }
    if (inside.empty() || !std::all_of(inside.begin(), inside.end(), [](unsigned char c) { return std::isalpha(c); }))
      fail("the rule `{}` has `{{{}}}`; a placeholder is letters in braces: one for a number, more for any text", rule, inside);
    piece.kind = inside.size() == 1 ? Piece::Number : Piece::Text;
    piece.text = inside;
    if (piece.moved && piece.kind == Piece::Text)
      fail("the rule `{}` moves `{}`, which is no number; numbers have placeholders of one letter", rule, inside);
    pieces.push_back(std::move(piece));
    at = end + 1;
  }
  return pieces;
}

/// The order of dimensions behind `^`: `T`, or a list such as `[3, 2, 0, 1]`.
static std::vector<size_t> orderOf(const std::string &text, const std::string &rule) {
  if (text == "T")
    return {1, 0};
  std::vector<size_t> order;
  bool list = text.size() > 2 && text.front() == '[' && text.back() == ']';
  std::istringstream in(list ? text.substr(1, text.size() - 2) : "");
  for (std::string item; std::getline(in, item, ',');) {
    size_t begin = item.find_first_not_of(' '), end = item.find_last_not_of(' ');
    list &= begin != std::string::npos && begin == end && isdigit((unsigned char)item[begin]);
    order.push_back(list ? size_t(item[begin] - '0') : 0);
  }
  std::vector<size_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i)
    list &= sorted[i] == i;
  if (!list)
    fail("the rule `{}` ends in `^{}`; behind `^` stands `T` or an order of all dimensions such as `[3, 2, 0, 1]`", rule, text);
  return order;
}

Renames::Renames(const std::vector<std::pair<std::string, std::string>> &written) {
  for (auto &[from, to] : written) {
    if (from.empty()) {
      own.push_back(piecesOf(to, false, "none"));
      continue;
    }
    Rule rule;
    rule.written = from;
    rule.drop = to.empty();
    std::string right = to;
    if (size_t caret = right.rfind('^'); caret != std::string::npos) {
      rule.order = orderOf(right.substr(caret + 1), from);
      right.resize(caret);
    }
    rule.right = piecesOf(right, true, from);
    size_t open = from.find('['), close = from.find(']');
    std::vector<std::string> choices = {""};
    std::string before = from, behind;
    if (open != std::string::npos || close != std::string::npos) {
      if (open == std::string::npos || close == std::string::npos || close < open || from.find('[', open + 1) != std::string::npos)
        fail("the rule `{}` has brackets that do not belong together; one list `[a|b]` may stand in it", from);
      before = from.substr(0, open);
      behind = from.substr(close + 1);
      choices.clear();
      for (size_t at = open + 1; at <= close;) {
        size_t end = std::min(from.find('|', at), close);
        choices.push_back(from.substr(at, end - at));
        at = end + 1;
      }
    }
    rule.parts = choices.size();
    for (auto &choice : choices) {
      rule.left = piecesOf(before + choice + behind, false, from);
      for (auto &piece : rule.right)
        if (piece.kind != Piece::Literal &&
            std::none_of(rule.left.begin(), rule.left.end(), [&](auto &l) { return l.kind == piece.kind && l.text == piece.text; }))
          fail("the rule `{}` -> `{}` uses {{{}}}, which its left side does not have", from, to, piece.text);
      rules.push_back(rule);
      ++rule.part;
    }
  }
}

bool Renames::match(const std::vector<Piece> &pieces, size_t piece, const std::string &name, size_t at,
                    std::vector<std::pair<std::string, std::string>> &bound, size_t &budget) {
  if (budget-- == 0)
    fail("a rule with many placeholders takes too long on the name `{}`", name);
  if (piece == pieces.size())
    return at == name.size();
  const Piece &p = pieces[piece];
  if (p.kind == Piece::Literal)
    return name.compare(at, p.text.size(), p.text) == 0 && match(pieces, piece + 1, name, at + p.text.size(), bound, budget);
  size_t most = at;
  while (most < name.size() && (p.kind == Piece::Text || std::isdigit(static_cast<unsigned char>(name[most]))))
    ++most;
  if (p.kind == Piece::Number)
    most = std::min(most, at + 9);
  for (size_t end = most; end > at; --end) { // the longest first
    std::string value = name.substr(at, end - at);
    auto known = std::find_if(bound.begin(), bound.end(), [&](auto &b) { return b.first == p.text; });
    if (known != bound.end() && known->second != value)
      continue;
    bool fresh = known == bound.end();
    if (fresh)
      bound.emplace_back(p.text, value);
    if (match(pieces, piece + 1, name, end, bound, budget))
      return true;
    if (fresh)
      bound.pop_back();
  }
  return false;
}

Renamed Renames::operator()(const std::string &name) const {
  for (auto &rule : rules) {
    std::vector<std::pair<std::string, std::string>> bound;
    size_t budget = kBudget;
    if (!match(rule.left, 0, name, 0, bound, budget))
      continue;
    rule.used = true;
    Renamed out;
    if (rule.drop)
      return out;
    for (auto &piece : rule.right) {
      if (piece.kind == Piece::Literal) {
        out.name += piece.text;
        continue;
      }
      auto value = std::find_if(bound.begin(), bound.end(), [&](auto &b) { return b.first == piece.text; });
      out.name += piece.kind == Piece::Text ? value->second : std::to_string(std::stoll(value->second) + piece.moved);
    }
    out.order = rule.order;
    out.part = rule.part;
    out.parts = rule.parts;
    return out;
  }
  return {name, {}, 0, 1};
}

bool Renames::begins(const std::string &tensor) const {
  return std::any_of(own.begin(), own.end(), [&](auto &pieces) {
    std::vector<std::pair<std::string, std::string>> bound;
    size_t budget = kBudget;
    return match(pieces, 0, tensor, 0, bound, budget);
  });
}

std::vector<std::string> Renames::unused() const {
  std::vector<std::string> out;
  for (auto &rule : rules)
    if (!rule.used && (out.empty() || out.back() != rule.written))
      out.push_back(rule.written);
  return out;
}

} // namespace bigm::weights
