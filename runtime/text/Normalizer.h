// The first step of a tokenizer: characters to characters.
#pragma once
#include "CharMap.h"
#include "Pattern.h"
#include "Settings.h"

namespace bigm::text {

class Normalizer {
public:
  /// From `normalizer` of a tokenizer.json, which may be null. Throws Error naming the place.
  static Normalizer read(const Settings &settings);
  void apply(Text &text) const;
  bool empty() const { return steps.empty(); }

private:
  enum class Kind { Form, Lowercase, StripAccents, Strip, Replace, Prepend, Bert, Precompiled, Nmt, ByteLevel };
  struct Step {
    Kind kind;
    Form form = Form::NFC;
    bool left = false, right = false;                                      // Strip
    bool clean = false, chinese = false, accents = false, lower = false;   // Bert
    std::string content;                                                   // Replace, Prepend
    std::shared_ptr<const Pattern> pattern;
    std::shared_ptr<const CharMap> map;
  };
  void add(const Settings &settings, int depth);
  std::vector<Step> steps;
};

/// Byte b in the alphabet of byte-level BPE: a printable character for each byte.
char32_t byteChar(uint8_t b);
/// The byte that a character of that alphabet stands for, or -1.
int charByte(char32_t c);
/// Each byte of text[begin, end) as its character, appended to `out`.
void addByteChars(const Text &text, size_t begin, size_t end, Text &out);
/// text[begin, end) with matches replaced, appended to `out`.
void addReplaced(const Text &text, size_t begin, size_t end, const Pattern &pattern, const std::string &content, Text &out);

} // namespace bigm::text
