// The last step of a tokenizer: special tokens around the ids of one text or two.
#pragma once
#include "Settings.h"
#include "Text.h"

namespace bigm::text {

/// How many characters at the ends of a token are spaces (or stand for one in GPT-2's alphabet of bytes).
struct Edges {
  uint32_t leading = 0, trailing = 0;
};
Edges edgesOf(std::string_view token);

/// Ids with what belongs to them. Spans and edges are empty when spans are not asked for.
struct Row {
  std::vector<int32_t> ids, types;
  std::vector<Span> spans;
  std::vector<Edges> edges;
  std::vector<uint8_t> of; // which text an id is of, 0 or 1; special tokens are of none, 2
};

/// Appends.
void join(Row &to, const Row &more);

class PostProcessor {
public:
  /// From `post_processor` of a tokenizer.json, which may be null. Throws Error naming the place.
  static PostProcessor read(const Settings &settings);
  /// How many special tokens it puts around one text or two.
  size_t added(bool pair) const;
  /// `rows` has one or two, those of `texts`.
  Row apply(std::vector<Row> rows, const std::vector<std::string_view> &texts, bool special, bool spans) const;

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
