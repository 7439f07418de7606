#include "Expression.h"
#include "Error.h"
#include "Unicode.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <cctype>
#include <vector>

namespace bigm::text {
namespace {

/// The names of categories that are longer than their two letters; PCRE2 knows the short ones.
constexpr std::pair<const char *, const char *> kLongNames[] = {
    {"letter", "L"}, {"casedletter", "L&"}, {"uppercaseletter", "Lu"}, {"lowercaseletter", "Ll"}, {"titlecaseletter", "Lt"},
    {"modifierletter", "Lm"}, {"otherletter", "Lo"}, {"mark", "M"}, {"nonspacingmark", "Mn"}, {"spacingmark", "Mc"},
    {"enclosingmark", "Me"}, {"number", "N"}, {"decimalnumber", "Nd"}, {"letternumber", "Nl"}, {"othernumber", "No"},
    {"punctuation", "P"}, {"connectorpunctuation", "Pc"}, {"dashpunctuation", "Pd"}, {"openpunctuation", "Ps"},
    {"closepunctuation", "Pe"}, {"initialpunctuation", "Pi"}, {"finalpunctuation", "Pf"}, {"otherpunctuation", "Po"},
    {"symbol", "S"}, {"mathsymbol", "Sm"}, {"currencysymbol", "Sc"}, {"modifiersymbol", "Sk"}, {"othersymbol", "So"},
    {"separator", "Z"}, {"spaceseparator", "Zs"}, {"lineseparator", "Zl"}, {"paragraphseparator", "Zp"}, {"other", "C"},
    {"control", "Cc"}, {"format", "Cf"}, {"unassigned", "Cn"}, {"privateuse", "Co"}, {"surrogate", "Cs"}};

/// A name as it is compared: in lower case, without what may stand between words.
std::string plain(std::string_view name) {
  std::string out;
  for (char c : name)
    if (c != '_' && c != '-' && c != ' ')
      out += char(std::tolower(uint8_t(c)));
  return out;
}

/// A category with the characters that got it after PCRE2's tables were made.
std::string category(const std::string &name) { return "\\p{" + name + "}" + younger(plain(name)); }

/// What a word consists of: letters also where they are numbers or stand in circles, marks, digits, `_` and its like. The six
/// numbers of Latin 1 (`²`, `½`) are so only outside of brackets.
std::string wordChars(bool latin) {
  return category("L") + category("M") + category("Nd") + "\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}"
         "\\x{1f170}-\\x{1f189}" + (latin ? "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}" : "");
}

bool compiles(const std::string &pattern) {
  int error;
  size_t where;
  pcre2_code *code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP, &error,
                                   &where, nullptr);
  pcre2_code_free(code);
  return code != nullptr;
}

/// Beside young characters there are old ones that have been alphabetic since Unicode 15 and 16: letters above letters, signs.
std::string alphabetic() {
  return "\\p{Alphabetic}\\x{363}-\\x{36f}\\x{c04}\\x{f82}\\x{f83}\\x{1dd3}-\\x{1de6}\\x{11080}\\x{11081}" + younger("alphabetic");
}

/// The inside of a bracket for a class by its name, as in `[:alpha:]` and `\p{Alpha}`; empty where the name is no such class.
std::string classByName(const std::string &name) {
  if (name == "alpha")
    return alphabetic();
  if (name == "alnum")
    return alphabetic() + category("Nd");
  if (name == "digit")
    return category("Nd");
  if (name == "word")
    return wordChars(false);
  if (name == "punct")
    return category("P") + category("S");
  if (name == "space")
    return "\\p{White_Space}";
  if (name == "upper")
    return "\\p{Uppercase}" + younger("lu");
  if (name == "lower")
    return "\\p{Lowercase}" + younger("ll");
  if (name == "graph" || name == "print")
    return category("L") + category("M") + category("N") + category("P") + category("S") + category("Cf") + "\\p{Co}" +
           (name == "print" ? "\\p{Zs}" : "");
  if (name == "cntrl")
    return "\\p{Cc}";
  if (name == "xdigit")
    return "0-9a-fA-F";
  if (name == "blank")
    return "\\t\\p{Zs}";
  if (name == "ascii")
    return "\\x{0}-\\x{7f}";
  return "";
}

/// The inside of a bracket for `\p{name}`, or an expression `(?...` that matches one such character.
std::string property(std::string name) {
  std::string key = plain(name);
  for (auto &[longName, letters] : kLongNames)
    if (key == longName)
      key = plain(name = letters);
  if (key == "alphabetic")
    key = "alpha";
  std::string body = classByName(key);
  if (!body.empty())
    return key == "punct" ? category("P") : body; // as a property it has no symbols
  // What is no character there is still less than here.
  if (key == "c")
    return "(?![" + younger("c") + "])\\p{C}";
  if (key == "cn" || key == "unknown" || key == "zzzz")
    return "(?![" + younger("") + "])\\p{Cn}";
  if (key == "assigned")
    return "(?!\\p{Cn})(?s:.)|[" + younger("") + "]";
  // Of a name that is a script's, PCRE2 takes all characters that the script uses, and there only those of its own count.
  if (key.size() > 2 && compiles("\\p{sc:" + name + "}"))
    return "\\p{sc:" + name + "}" + younger(key);
  std::string young = younger(key);
  return !young.empty() && !compiles("\\p{" + name + "}") ? young : category(name); // a young script has nothing else
}

/// A set of characters: the inside of a bracket, and other expressions that match one character each.
struct Set {
  std::string body;
  std::vector<std::string> others;

  std::string expression(bool negated = false) const {
    if (others.empty())
      return body.empty() ? negated ? "(?s:.)" : "(?!)" : (negated ? "[^" : "[") + body + "]";
    std::string all;
    if (!body.empty())
      all = "[" + body + "]";
    for (const std::string &o : others)
      all += (all.empty() ? "" : "|") + o;
    return negated ? "(?:(?!" + all + ")(?s:.))" : "(?:" + all + ")";
  }
  void add(const std::string &part, bool negated) {
    if (part.starts_with("(?"))
      others.push_back(negated ? "(?:(?!" + part + ")(?s:.))" : "(?:" + part + ")");
    else if (negated)
      others.push_back("[^" + part + "]");
    else
      body += part;
  }
};

class Translator {
public:
  explicit Translator(const std::string &in) : in(in) {}
  std::string run() {
    while (at < in.size()) {
      if (in[at] == '\\')
        escape();
      else if (in[at] == '[')
        out += brackets(0);
      else if (in.compare(at, 2, "(?") == 0)
        group();
      else if (in.compare(at, 2, "}+") == 0)
        throw Error("has `}+`, which repeats there and would not here; write `(?:...{1,3})+`");
      else
        out += in[at++];
    }
    return out;
  }

private:
  /// `(?m:` lets `.` match newlines there, as `(?s:` does here.
  void group() {
    out += "(?";
    at += 2;
    size_t close = in.find_first_not_of("imxs-", at);
    if (close == in.npos || close == at || (in[close] != ':' && in[close] != ')'))
      return;
    for (; at < close; ++at)
      out += in[at] == 'm' ? 's' : in[at];
  }

  /// Reads an escape that stands for a set of characters, and whether for all others. Nothing is read where it is none.
  bool setEscape(std::string &body, bool &negated, bool inBracket) {
    if (at + 1 >= in.size())
      throw Error("ends with a single `\\`");
    char c = in[at + 1];
    negated = std::isupper(uint8_t(c));
    switch (std::tolower(uint8_t(c))) {
    case 's': body = "\\p{White_Space}"; break;
    case 'd': body = category("Nd"); break;
    case 'w': body = wordChars(!inBracket); break;
    case 'h': body = "0-9a-fA-F"; break;
    case 'p': {
      size_t close = in.find('}', at);
      if (at + 2 >= in.size() || in[at + 2] != '{' || close == in.npos || close == at + 3)
        throw Error("has `\\p` without a name in braces");
      std::string name = in.substr(at + 3, close - at - 3);
      if (name[0] == '^') {
        negated = !negated;
        name.erase(0, 1);
      }
      body = property(name);
      at = close + 1;
      return true;
    }
    default: return false;
    }
    at += 2;
    return true;
  }

  /// An escape that stands for one character, or for a place.
  void copyEscape(std::string &to) {
    char c = in[at + 1];
    if (c == 'u') { // four digits; `\x{...}` means the same here
      std::string digits = in.substr(at + 2, 4);
      if (digits.size() < 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != digits.npos)
        throw Error("has `\\u` without four hexadecimal digits");
      to += "\\x{" + digits + "}";
      at += 6;
      return;
    }
    if (c == 'v') { // one character there, all vertical spaces here
      to += "\\x{b}";
      at += 2;
      return;
    }
    to += in[at++];
    to += in[at++];
    while (at < in.size() && (uint8_t(in[at]) & 0xC0) == 0x80)
      to += in[at++];
  }

  void escape() {
    std::string body;
    bool negated;
    if (setEscape(body, negated, false)) {
      Set set;
      set.add(body, body.starts_with("(?") && negated);
      out += set.expression(!set.body.empty() && negated);
    } else if (in[at + 1] == 'b' || in[at + 1] == 'B') {
      std::string word = "[" + wordChars(true) + "]";
      std::string in1 = "(?<=" + word + ")", out1 = "(?<!" + word + ")", in2 = "(?=" + word + ")", out2 = "(?!" + word + ")";
      out += in[at + 1] == 'b' ? "(?:" + in1 + out2 + "|" + out1 + in2 + ")" : "(?:" + in1 + in2 + "|" + out1 + out2 + ")";
      at += 2;
    } else if (in[at + 1] == 'O') {
      out += "(?s:.)";
      at += 2;
    } else if (in[at + 1] == 'X') { // PCRE2 10.42 takes neighbouring pictures for one cluster
      const char *extends = "[\\p{Gr_Ext}\\p{Emoji_Modifier}\\p{Mc}]*";
      out += std::string("(?>\\p{ExtPict}(?>") + extends + "\\x{200d}\\p{ExtPict})*(?>" + extends + "\\x{200d}*)*|\\X)";
      at += 2;
    } else {
      copyEscape(out);
    }
  }

  /// A bracket expression; those inside it are united with it, and `&&` intersects what stands on its sides.
  std::string brackets(int depth) {
    if (depth > 16)
      throw Error("has brackets in brackets, more than 16 deep");
    ++at; // [
    bool negated = at < in.size() && in[at] == '^';
    at += negated;
    Set set;
    std::vector<std::string> sides; // of `&&`, but the last
    if (at < in.size() && in[at] == ']')
      set.body += "\\]", ++at;
    while (at < in.size()) {
      char c = in[at];
      if (c == ']') {
        ++at;
        if (sides.empty())
          return set.expression(negated);
        std::string all;
        for (const std::string &side : sides)
          all += "(?=" + side + ")";
        all += set.expression();
        return negated ? "(?:(?!" + all + ")(?s:.))" : "(?:" + all + ")";
      }
      if (c == '\\') {
        std::string body;
        bool not_;
        if (setEscape(body, not_, true))
          set.add(body, not_);
        else
          copyEscape(set.body);
      } else if (in.compare(at, 2, "[:") == 0 && in.find(":]", at) != in.npos) {
        size_t close = in.find(":]", at);
        bool not_ = in[at + 2] == '^';
        std::string name = in.substr(at + 2 + not_, close - at - 2 - not_), body = classByName(plain(name));
        set.add(body.empty() ? "[:" + name + ":]" : body, not_);
        at = close + 2;
      } else if (c == '[') {
        bool plain = in.compare(at, 2, "[^") != 0;
        std::string inner = brackets(depth + 1);
        if (plain && inner[0] == '[') // without others: the two are one bracket
          set.body.append(inner, 1, inner.size() - 2);
        else
          set.others.push_back(std::move(inner));
      } else if (in.compare(at, 2, "&&") == 0) {
        sides.push_back(set.expression());
        set = {};
        at += 2;
      } else {
        set.body += in[at++];
      }
    }
    throw Error("has `[` without `]`");
  }

  const std::string &in;
  std::string out;
  size_t at = 0;
};

} // namespace

std::string translated(const std::string &expression) { return Translator(expression).run(); }

} // namespace bigm::text
