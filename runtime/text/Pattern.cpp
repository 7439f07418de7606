#include "Pattern.h"
#include "Unicode.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace bigm::text {
namespace {

/// Walks an expression in Oniguruma's syntax and writes it in PCRE2's.
class Translator {
public:
  explicit Translator(const std::string &in) : in(in) {}
  std::string run() {
    while (at < in.size()) {
      char c = in[at];
      if (c == '\\')
        escape(false);
      else if (c == '[')
        brackets();
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

  /// `\s` and its like, in a bracket or outside.
  void escape(bool inBracket) {
    if (at + 1 >= in.size())
      throw Error("ends with a single `\\`");
    char c = in[at + 1];
    auto set = [&](const std::string &body, bool negated) {
      if (inBracket && negated)
        throw Error(std::string("has `\\") + c + "` inside of brackets, which is not supported");
      out += inBracket ? body : (negated ? "[^" : "[") + body + "]";
      at += 2;
    };
    switch (c) {
    case 's': out += "\\p{White_Space}"; at += 2; return;
    case 'S': out += "\\P{White_Space}"; at += 2; return;
    case 'd': out += "\\p{Nd}"; at += 2; return;
    case 'D': out += "\\P{Nd}"; at += 2; return;
    case 'w': return set("\\p{L}\\p{M}\\p{Nd}\\p{Pc}", false);
    case 'W': return set("\\p{L}\\p{M}\\p{Nd}\\p{Pc}", true);
    case 'h': return set("0-9a-fA-F", false);
    case 'H': return set("0-9a-fA-F", true);
    case 'p':
    case 'P': {
      size_t close = in.find('}', at);
      std::string name = at + 2 < in.size() && in[at + 2] == '{' && close != in.npos ? in.substr(at + 3, close - at - 3) : "";
      if (name.empty())
        throw Error("has `\\p` without a name in braces");
      bool negated = (c == 'P') != (name[0] == '^');
      if (name[0] == '^')
        name.erase(0, 1);
      static const std::pair<const char *, char> whole[] = {{"Letter", 'L'}, {"Number", 'N'}, {"Punctuation", 'P'}, {"Symbol", 'S'}, {"Mark", 'M'}};
      for (auto &[longName, letter] : whole)
        if (name == longName)
          name = letter;
      std::string more = name.size() == 1 ? younger(name[0]) : "";
      std::string body = (negated ? "\\P{" : "\\p{") + name + "}";
      if (more.empty() || (negated && inBracket)) // younger characters are few, and a bracket cannot take them out again
        out += body;
      else if (inBracket)
        out += body + more;
      else
        out += (negated ? "[^\\p{" : "[\\p{") + name + "}" + more + "]";
      at = close + 1;
      return;
    }
    default:
      out += in[at++];
      out += in[at++];
      while (at < in.size() && (uint8_t(in[at]) & 0xC0) == 0x80)
        out += in[at++];
    }
  }

  /// A bracket expression. One that stands in another is a set to be united with it.
  void brackets() {
    out += in[at++]; // [
    if (at < in.size() && in[at] == '^')
      out += in[at++];
    if (at < in.size() && in[at] == ']')
      out += "\\]", ++at;
    for (int depth = 1; at < in.size();) {
      char c = in[at];
      if (c == '\\') {
        escape(true);
      } else if (in.compare(at, 2, "[:") == 0) {
        size_t close = in.find(":]", at);
        if (close == in.npos)
          throw Error("has `[:` without `:]`");
        out.append(in, at, close + 2 - at);
        at = close + 2;
      } else if (c == '[') {
        if (in.compare(at, 2, "[^") == 0)
          throw Error("has a negated bracket inside of a bracket, which is not supported");
        ++depth, ++at;
        if (at < in.size() && in[at] == ']')
          out += "\\]", ++at;
      } else if (c == ']') {
        ++at;
        if (--depth == 0) {
          out += ']';
          return;
        }
      } else if (in.compare(at, 2, "&&") == 0) {
        throw Error("has `&&` inside of a bracket, which is not supported");
      } else {
        out += in[at++];
      }
    }
    throw Error("has `[` without `]`");
  }

  const std::string &in;
  std::string out;
  size_t at = 0;
};

} // namespace

struct Pattern::Code {
  std::string literal;
  pcre2_code *code = nullptr;
  pcre2_match_context *limits = nullptr;
  ~Code() {
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
  }
};

std::string translated(const std::string &expression) { return Translator(expression).run(); }

Pattern Pattern::literal(const std::string &text) {
  auto code = std::make_shared<Code>();
  code->literal = text;
  Pattern p;
  p.code = std::move(code);
  return p;
}

Pattern Pattern::regex(const std::string &expression) {
  if (expression.size() > 1 << 16)
    throw Error("is longer than 65536 bytes");
  std::string text = translated(expression);
  auto code = std::make_shared<Code>();
  int error = 0;
  size_t where = 0;
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE,
                             &error, &where, nullptr);
  if (!code->code) {
    char reason[256];
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR *>(reason), sizeof reason);
    throw Error("cannot be read: " + std::string(reason));
  }
  pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE); // where it cannot, the interpreter does the work
  code->limits = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(code->limits, 10'000'000);
  pcre2_set_heap_limit(code->limits, 64 << 10);
  Pattern p;
  p.code = std::move(code);
  return p;
}

Pattern readPattern(const Settings &settings) {
  if (settings.has("String"))
    return Pattern::literal(settings["String"].text());
  Settings regex = settings["Regex"];
  try {
    return Pattern::regex(regex.text());
  } catch (const Error &e) {
    if (!regex.isText())
      throw;
    regex.fail("the pattern " + regex.seen() + " " + e.what());
  }
}

void Pattern::parts(std::string_view text, size_t begin, size_t end, std::vector<Match> &out) const {
  std::string_view view = text.substr(begin, end - begin);
  size_t last = 0;
  auto give = [&](size_t from, size_t to) {
    if (from > last)
      out.push_back({uint32_t(begin + last), uint32_t(begin + from), false});
    out.push_back({uint32_t(begin + from), uint32_t(begin + to), true});
    last = to;
  };
  if (!code->code) {
    for (size_t at = 0; !code->literal.empty() && (at = view.find(code->literal, at)) != view.npos; at = last)
      give(at, at + code->literal.size());
  } else {
    struct Free {
      void operator()(pcre2_match_data *d) const { pcre2_match_data_free(d); }
    };
    thread_local std::unique_ptr<pcre2_match_data, Free> data(pcre2_match_data_create(1, nullptr));
    bool any = false;
    for (size_t at = 0; at <= view.size();) {
      int n = pcre2_match(code->code, reinterpret_cast<PCRE2_SPTR>(view.data()), view.size(), at, PCRE2_NO_UTF_CHECK, data.get(),
                          code->limits);
      if (n == PCRE2_ERROR_NOMATCH)
        break;
      if (n < 0)
        throw Error("a pattern of the tokenizer needs too long for a text of " + std::to_string(view.size()) + " bytes");
      const size_t *v = pcre2_get_ovector_pointer(data.get());
      // An empty match right after the last one is passed over.
      if (v[0] == v[1] && any && v[1] == last) {
        at = v[1] < view.size() ? v[1] + lengthAt(view[v[1]]) : v[1] + 1;
        if (at > view.size())
          break;
        continue;
      }
      give(v[0], v[1]);
      any = true;
      at = v[1];
    }
  }
  if (last < view.size())
    out.push_back({uint32_t(begin + last), uint32_t(end), false});
}

} // namespace bigm::text
