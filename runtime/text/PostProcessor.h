// The last step of a tokenizer: special tokens around the ids of one text or two.
#pragma once
#include "Settings.h"
#include "Text.h"
#include <functional>

namespace bigm::text {

/// Ids with the spans and types that belong to them.
struct Row {
  std::vector<int32_t> ids, types;
  std::vector<Span> spans; // empty when not asked for
  std::vector<uint8_t> own; // 0 for special tokens
};

class PostProcessor {
public:
  /// From `post_processor` of a tokenizer.json, which may be null. Throws Error naming the place.
  static PostProcessor read(const Settings &settings);
  /// How many special tokens it puts around one text or two.
  size_t added(bool pair) const;
  /// `rows` has one or two; `token` gives the token of an id, for spans that shall not count spaces.
  Row apply(std::vector<Row> rows, bool special, bool spans, const std::function<std::string_view(int32_t)> &token) const;

private:
  struct Part {
    int which = -1; // 0 or 1: a text; -1: these ids
    std::vector<int32_t> ids;
    int32_t type = 0;
  };
  struct Step {
    std::vector<Part> single, pair; // empty: no template
    bool trims = false, prefixSpace = false, oneType = false;
    bool onlyWithSpecial = false; // Bert and Roberta leave everything as it is without special tokens
  };
  void add(const Settings &settings, int depth);
  static std::vector<Part> readTemplate(const Settings &list, const Settings &tokens);
  std::vector<Step> steps;
};

} // namespace bigm::text
