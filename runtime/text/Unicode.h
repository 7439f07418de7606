// What tokenizers ask about characters, answered as Hugging Face's library answers.
//
// utf8proc knows Unicode 15; the parts of `tokenizers` carry tables of several ages, from 8 to 17. Where they disagree,
// Differences.inc has the code points (made by tests/runtime/text/differences.py).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bigm::text {

enum CharClass : uint16_t {
  kIsLetter = 1,       // \p{L} in patterns
  kIsNumber = 2,       // \p{N} in patterns
  kIsSpace = 4,        // White_Space
  kIsPunctuation = 8,  // of Bert and Punctuation
  kIsNumeric = 16,     // of Digits
  kIsWord = 32,        // \w of Whitespace
  kIsAccent = 64,      // what Bert's strip_accents drops
  kIsMark = 128,       // what StripAccents drops
  kIsControl = 256,    // what Bert's clean_text drops
  kIsChinese = 512,    // what Bert puts spaces around
};
/// The classes of a code point, or-ed.
uint16_t classOf(char32_t c);
inline bool is(char32_t c, uint16_t classes) { return classOf(c) & classes; }

/// The code point at `at` of valid UTF-8, and moves past it.
inline char32_t next(std::string_view text, size_t &at) {
  auto byte = [&](size_t i) { return char32_t(uint8_t(text[i])); };
  char32_t c = byte(at);
  if (c < 0x80)
    return at += 1, c;
  if (c < 0xE0)
    return at += 2, (c & 0x1F) << 6 | (byte(at - 1) & 0x3F);
  if (c < 0xF0)
    return at += 3, (c & 0x0F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F);
  return at += 4, (c & 0x07) << 18 | (byte(at - 3) & 0x3F) << 12 | (byte(at - 2) & 0x3F) << 6 | (byte(at - 1) & 0x3F);
}
/// Bytes of the character that begins with this byte.
inline size_t lengthAt(char lead) {
  auto b = uint8_t(lead);
  return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}
void append(std::string &to, char32_t c);
size_t countChars(std::string_view valid);
bool isAscii(std::string_view text);

/// How many bytes at `at` are one whole character; 0 when they are none, and `broken` is then how many bytes one U+FFFD
/// stands for (the longest beginning of a character, or 1).
size_t validAt(std::string_view text, size_t at, size_t &broken);
bool isValid(std::string_view text);
/// Bytes at the end that are the beginning of a character whose rest may still come.
size_t unfinished(std::string_view text);
/// Valid UTF-8: each broken sequence becomes U+FFFD.
std::string repaired(std::string_view text);

/// One lower case character each, but for U+0130, which becomes two.
char32_t lower(char32_t c);

/// A character of a new text, and how it came about: 0 in place of the next old one, 1 inserted, -n in place of the next
/// and of the n after it.
struct Change {
  char32_t c;
  int32_t change;
};
enum class Form { NFC, NFD, NFKC, NFKD };
std::vector<Change> normalForm(std::string_view valid, Form form);

/// Bytes of the extended grapheme cluster at `at`.
size_t graphemeAt(std::string_view valid, size_t at);

/// The script of UnicodeScripts, 0 for spaces and for what has none there (its table is of Unicode 9, and counts Kana as Han).
int scriptOf(char32_t c);

/// Characters that patterns know there and PCRE2 does not yet, of a category (L, Lu, LC, ...), of a script, or those that are
/// Alphabetic or Emoji, as the inside of a bracket expression: `\x{1c89}-\x{1c8a}`. Names in lower case without `_`; "" for
/// all that were Cn before and "c" for those that are no longer C. Empty for other names.
std::string younger(std::string_view property);

} // namespace bigm::text
