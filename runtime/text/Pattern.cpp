#include "Pattern.h"
#include "Expression.h"
#include "Unicode.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace bigm::text {
struct Pattern::Code {
  std::string literal;
  pcre2_code *code = nullptr;
  pcre2_match_context *limits = nullptr;
  ~Code() {
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
  }
};

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
