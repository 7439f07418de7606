// The second step of a tokenizer: a text into the pieces that the model sees one by one.
#pragma once
#include "Pattern.h"
#include "Text.h"

namespace bigm::text {

class PreTokenizer {
public:
  /// From `pre_tokenizer` of a tokenizer.json, which may be null. Throws Error naming the place.
  static PreTokenizer read(const Settings &settings);
  /// Splits the pieces that are no added tokens. Never leaves an empty one.
  void apply(Pieces &pieces) const;
  /// Whether the pieces depend on where in the original text they stand, so that it must be tracked.
  bool needsOrigin() const;

private:
  enum class Kind { Bert, ByteLevel, Class, Delimiter, Metaspace, Whitespace, Split, FixedLength, Scripts };
  enum class Behavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };
  enum class Scheme { Always, First, Never };
  struct Step {
    Kind kind;
    Behavior behavior = Behavior::Removed;
    uint16_t classes = 0;              // Class: characters of these split
    std::shared_ptr<const Pattern> pattern;
    bool invert = false;               // Split: what does not match counts as matching
    bool prefixSpace = false, words = false; // ByteLevel
    std::string mark;                  // Metaspace's character; Delimiter's
    Scheme scheme = Scheme::Always;
    bool split = true;
    int64_t length = 0;
  };
  void add(const Settings &settings, int depth);
  static Behavior readBehavior(const Settings &settings);
  void one(const Step &step, Pieces &pieces) const;
  std::vector<Step> steps;
};

} // namespace bigm::text
