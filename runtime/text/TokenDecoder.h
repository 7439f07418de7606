// From tokens back to text: the `decoder` of a tokenizer.json.
#pragma once
#include "Pattern.h"

namespace bigm::text {

class TokenDecoder {
public:
  /// Throws Error naming the place. Null joins tokens with spaces.
  static TokenDecoder read(const Settings &settings);
  /// Appends the text of tokens to `out`, and leaves other tokens behind.
  void join(std::vector<std::string> &tokens, std::string &out) const;

private:
  enum class Kind { Bpe, ByteLevel, WordPiece, Metaspace, Ctc, Replace, Fuse, Strip, ByteFallback };
  struct Step {
    Kind kind;
    std::string mark, content;
    bool cleanup = false, prepended = false;
    size_t start = 0, stop = 0;
    std::shared_ptr<const Pattern> pattern;
  };
  void add(const Settings &settings, int depth);
  static void one(const Step &step, std::vector<std::string> &tokens);
  std::vector<Step> steps;
  bool none = false;
};

} // namespace bigm::text
