#include "Unicode.h"
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <span>
#include <utf8proc.h>

namespace bigm::text {
namespace {

struct Range {
  char32_t first, last;
};
#include "Differences.inc"
struct Script {
  char32_t first, last;
  uint8_t script;
};
#include "Scripts.inc"
struct Young {
  char32_t first, last;
  const char *category, *script, *code;
  bool alphabetic, emoji;
};
#include "Young.inc"

bool in(std::span<const Range> table, char32_t c) {
  auto at = std::upper_bound(table.begin(), table.end(), c, [](char32_t c, const Range &r) { return c < r.first; });
  return at != table.begin() && c <= std::prev(at)->last;
}

bool isSpaceCategory(char32_t c, utf8proc_category_t k) {
  return (c >= 9 && c <= 13) || c == 0x85 || k == UTF8PROC_CATEGORY_ZS || k == UTF8PROC_CATEGORY_ZL || k == UTF8PROC_CATEGORY_ZP;
}

uint16_t classify(char32_t c) {
  utf8proc_category_t k = utf8proc_category(utf8proc_int32_t(c));
  bool letter = k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
  bool mark = k >= UTF8PROC_CATEGORY_MN && k <= UTF8PROC_CATEGORY_ME;
  bool number = k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO;
  bool punctuation = k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO;
  bool asciiSymbol = c < 0x80 && k >= UTF8PROC_CATEGORY_SM && k <= UTF8PROC_CATEGORY_SO;
  bool control = k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CO || c == 0xFFFD;
  // Alphabetic and not L, M or Nl: the circled letters. ZWNJ and ZWJ join words.
  bool circled = (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
                 (c >= 0x1F170 && c <= 0x1F189);
  bool word = letter || mark || k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_PC ||
              c == 0x200C || c == 0x200D || circled;
  bool chinese = (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
                 (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
                 (c >= 0x2F800 && c <= 0x2FA1F);
  uint16_t out = 0;
  auto set = [&](CharClass bit, bool on) { out |= on ? bit : 0; };
  set(kIsLetter, letter != in(kLetter, c));
  set(kIsNumber, number != in(kNumber, c));
  set(kIsSpace, isSpaceCategory(c, k));
  set(kIsPunctuation, (punctuation || asciiSymbol) != in(kPunctuation, c));
  set(kIsNumeric, number != in(kNumeric, c));
  set(kIsWord, word != in(kWord, c));
  set(kIsAccent, (k == UTF8PROC_CATEGORY_MN) != in(kAccent, c));
  set(kIsMark, mark != in(kMark, c));
  set(kIsControl, c != '\t' && c != '\n' && c != '\r' && control != in(kControl, c));
  set(kIsChinese, chinese);
  return out;
}

/// Planes 0 to 2 hold nearly everything; classified once, 400 kB.
constexpr char32_t kTabled = 0x32000;
const uint16_t *classes() {
  static const std::vector<uint16_t> table = [] {
    std::vector<uint16_t> t(kTabled);
    for (char32_t c = 0; c < kTabled; ++c)
      t[c] = classify(c);
    return t;
  }();
  return table.data();
}

int combiningClass(char32_t c) {
  if (c < 0x300)
    return 0;
  int k = utf8proc_get_property(utf8proc_int32_t(c))->combining_class;
  return k != 0 && classOf(c) & kIsMark ? k : 0;
}

/// The canonical composition of two characters, or 0.
char32_t compose(char32_t a, char32_t b) {
  utf8proc_int32_t pair[2] = {utf8proc_int32_t(a), utf8proc_int32_t(b)};
  auto n = utf8proc_normalize_utf32(pair, 2, utf8proc_option_t(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (n != 1 || in(kWhole, char32_t(pair[0])))
    return 0;
  return char32_t(pair[0]);
}

std::vector<Change> decompose(std::string_view text, bool compatible) {
  std::vector<Change> out;
  out.reserve(text.size());
  auto option = utf8proc_option_t(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
  size_t run = 0; // where the combining characters at the end begin
  for (size_t at = 0; at < text.size();) {
    char32_t c = next(text, at);
    if (c < 0xA0 || in(kWhole, c)) {
      out.push_back({c, 0});
      run = out.size();
      continue;
    }
    utf8proc_int32_t parts[32];
    auto n = utf8proc_decompose_char(utf8proc_int32_t(c), parts, 32, option, nullptr);
    if (n < 1 || n > 32)
      n = 1, parts[0] = utf8proc_int32_t(c);
    for (int i = 0; i < n; ++i) {
      Change change{char32_t(parts[i]), i > 0};
      int k = combiningClass(change.c);
      if (k == 0) {
        out.push_back(change);
        run = out.size();
        continue;
      }
      // Combining characters stand in the order of their classes; equal ones keep theirs.
      auto place = std::upper_bound(out.begin() + run, out.end(), k, [](int k, const Change &o) { return k < combiningClass(o.c); });
      out.insert(place, change);
    }
  }
  return out;
}

std::vector<Change> recompose(std::vector<Change> in) {
  std::vector<Change> out;
  out.reserve(in.size());
  size_t starter = 0;
  bool haveStarter = false;
  int last = 0;
  for (Change c : in) {
    int k = combiningClass(c.c);
    bool blocked = haveStarter && out.size() > starter + 1 && (last >= k || last == 0);
    if (haveStarter && !blocked)
      if (char32_t whole = compose(out[starter].c, c.c)) {
        out[starter].c = whole;
        out[starter].change += c.change - 1;
        continue;
      }
    if (k == 0)
      starter = out.size(), haveStarter = true;
    last = k;
    out.push_back(c);
  }
  return out;
}

} // namespace

uint16_t classOf(char32_t c) {
  static const uint16_t *table = classes();
  return c < kTabled ? table[c] : classify(c);
}

void append(std::string &to, char32_t c) {
  if (c < 0x80) {
    to += char(c);
  } else if (c < 0x800) {
    to += char(0xC0 | c >> 6);
    to += char(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    to += char(0xE0 | c >> 12);
    to += char(0x80 | (c >> 6 & 0x3F));
    to += char(0x80 | (c & 0x3F));
  } else {
    to += char(0xF0 | c >> 18);
    to += char(0x80 | (c >> 12 & 0x3F));
    to += char(0x80 | (c >> 6 & 0x3F));
    to += char(0x80 | (c & 0x3F));
  }
}

size_t countChars(std::string_view valid) {
  return size_t(std::count_if(valid.begin(), valid.end(), [](char c) { return (uint8_t(c) & 0xC0) != 0x80; }));
}

bool isAscii(std::string_view text) {
  uint8_t all = 0;
  for (char c : text)
    all |= uint8_t(c);
  return all < 0x80;
}

size_t validAt(std::string_view text, size_t at, size_t &broken) {
  auto byte = [&](size_t i) { return at + i < text.size() ? uint8_t(text[at + i]) : 0; };
  uint8_t lead = byte(0);
  broken = 1;
  if (lead < 0x80)
    return 1;
  // The second byte's range keeps out overlong forms, surrogates and what lies above U+10FFFF.
  size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80, high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (length == 0 || byte(1) < low || byte(1) > high)
    return 0;
  for (size_t i = 2; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) {
      broken = i;
      return 0;
    }
  return length;
}

bool isValid(std::string_view text) {
  size_t broken;
  for (size_t at = 0; at < text.size();) {
    size_t n = validAt(text, at, broken);
    if (n == 0)
      return false;
    at += n;
  }
  return true;
}

size_t unfinished(std::string_view text) {
  size_t broken;
  for (size_t n = std::min<size_t>(3, text.size()); n > 0; --n) {
    size_t at = text.size() - n;
    if (uint8_t(text[at]) >= 0xC2 && validAt(text, at, broken) == 0 && at + broken == text.size() &&
        lengthAt(text[at]) > n && uint8_t(text[at]) < 0xF5)
      return n;
  }
  return 0;
}

std::string repaired(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    size_t broken;
    if (size_t n = validAt(text, at, broken)) {
      out.append(text, at, n);
      at += n;
    } else {
      out += "\xEF\xBF\xBD";
      at += broken;
    }
  }
  return out;
}

char32_t lower(char32_t c) {
  if (c < 0x80)
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
  auto at = std::lower_bound(std::begin(kLower), std::end(kLower), c, [](const Range &r, char32_t c) { return r.first < c; });
  if (at != std::end(kLower) && at->first == c)
    return at->last;
  return char32_t(utf8proc_tolower(utf8proc_int32_t(c)));
}

std::vector<Change> normalForm(std::string_view valid, Form form) {
  auto parts = decompose(valid, form == Form::NFKC || form == Form::NFKD);
  return form == Form::NFC || form == Form::NFKC ? recompose(std::move(parts)) : parts;
}

size_t graphemeAt(std::string_view valid, size_t at) {
  size_t begin = at;
  utf8proc_int32_t state = 0;
  auto c = utf8proc_int32_t(next(valid, at));
  while (at < valid.size()) {
    size_t after = at;
    auto d = utf8proc_int32_t(next(valid, after));
    if (utf8proc_grapheme_break_stateful(c, d, &state))
      break;
    c = d;
    at = after;
  }
  return at - begin;
}

int scriptOf(char32_t c) {
  auto at = std::upper_bound(std::begin(kScripts), std::end(kScripts), c, [](char32_t c, const Script &s) { return c < s.first; });
  return at != std::begin(kScripts) && c <= std::prev(at)->last ? std::prev(at)->script : 0;
}

std::string younger(std::string_view property) {
  auto isName = [&](const char *name) { // in lower case without `_`
    size_t at = 0;
    for (const char *c = name; *c; ++c)
      if (*c != '_' && (at == property.size() || property[at++] != char(lower(char32_t(*c)))))
        return false;
    return at == property.size();
  };
  std::string out;
  for (const Young &y : kYoung) {
    const char general[] = {y.category[0], 0};
    bool cased = y.category[0] == 'L' && (y.category[1] == 'u' || y.category[1] == 'l' || y.category[1] == 't');
    bool in = property.empty() || (property == "c" ? y.category[0] != 'C'
                                   : property == "lc" || property == "l&" ? cased
                                   : property == "alphabetic" ? y.alphabetic
                                   : property == "emoji" || property == "emojipresentation" ? y.emoji
                                   : isName(general) || isName(y.category) || isName(y.script) || isName(y.code));
    char cell[40];
    if (in && std::snprintf(cell, sizeof cell, "\\x{%x}-\\x{%x}", unsigned(y.first), unsigned(y.last)) > 0)
      out += cell;
  }
  return out;
}

} // namespace bigm::text
