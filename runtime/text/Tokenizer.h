// Text to ids and back, as a `tokenizer.json` of Hugging Face says, with the same ids.
//
// Read: the models WordPiece, BPE (byte-level, byte fallback), Unigram and WordLevel with all normalisers,
// pre-tokenisers, post-processors and decoders of that format, added tokens, truncation and padding. A file is refused, with its place, for what is not as the format says. Reading takes at most 128 times the
// file's size in memory (and a megabyte).
#pragma once
#include "Error.h"
#include "Text.h"
#include <memory>
#include <optional>
#include <span>

namespace bigm::text {

struct Encoding {
  std::vector<int32_t> ids;
  std::vector<int32_t> types; // 0 for the first text, 1 for the second, as the file says
  std::vector<Span> offsets;  // bytes of the text that an id stands for; empty unless asked for
  size_t length = 0;          // ids that are no padding; padding stands at the end or, with `padFirst`, at the front
  bool padFirst = false;
};

struct EncodeOptions {
  bool special = true;  // with the special tokens that the file puts around a text
  bool offsets = false; // give the spans
  bool limits = true;   // truncate and pad as the file says
  bool pad = true;      // with `limits`: pad as well
  int64_t atMost = 0;   // ids in all, special tokens among them, whatever the file says; 0: no bound
};

/// `text` in the place of the `{}` of what stands around it, as in a prompt; the text alone where `around` is empty.
std::string inside(std::string_view around, std::string_view text);

/// The ids of words that belong together, and where among them those of each word begin.
struct WordIds {
  std::vector<int32_t> ids;
  std::vector<int32_t> starts; // of the words of which a limit left anything: the first ones, all without one
};

/// Cheap to copy; threads may use one at the same time.
class Tokenizer {
public:
  /// A `tokenizer.json`, or a `vocab.txt` with a WordPiece token a line (lower case when "[CLS]" is in it and no line
  /// has upper case letters). Throws Error naming the file and the place.
  static Tokenizer fromFile(const std::string &path);
  /// From the text of a `tokenizer.json`; `name` stands in messages.
  static Tokenizer fromJson(std::string json, const std::string &name);

  /// The ids of any bytes; what is no UTF-8 counts as U+FFFD. Throws Error for what the vocabulary cannot express.
  Encoding encode(std::string_view text, EncodeOptions options = {}) const;
  Encoding encode(std::string_view text, std::string_view second, EncodeOptions options = {}) const;
  /// The ids of a text whose words are known: those of each word by itself, one behind the other, with the special tokens
  /// around all. Hugging Face's `is_pretokenized`, cut at the end to the limit of `options`. A word without ids begins where the next does
  /// (at the last id, if it is the last).
  WordIds encodeWords(std::span<const std::string> words, EncodeOptions options = {}) const;
  /// Valid UTF-8. Ids without a token are passed over.
  std::string decode(std::span<const int32_t> ids, bool skipSpecial = true) const;

  int32_t size() const; // the largest id and one
  std::optional<int32_t> id(std::string_view token) const;
  std::string token(int32_t id) const; // empty when there is none
  bool special(int32_t id) const;      // whether decoding leaves it out where special tokens are skipped
  /// What padding is filled with: the file's `pad_id`, else 0.
  int32_t padding() const;

  /// The whole tokenizer as the text of a tokenizer.json, which Hugging Face's library reads as well.
  const std::string &json() const;

private:
  friend class Decoder;
  struct Parts;
  explicit Tokenizer(std::shared_ptr<const Parts> parts) : parts(std::move(parts)) {}
  std::shared_ptr<const Parts> parts;
};

/// Text as its ids come one by one. What may still change (half a character) is held back. Once its texts have had their usual
/// lengths nothing is allocated.
class Decoder {
public:
  explicit Decoder(Tokenizer tokenizer, bool skipSpecial = true) : tokenizer(std::move(tokenizer)), skipSpecial(skipSpecial) {}
  /// Appends what `id` adds to the text; often nothing.
  void push(int32_t id, std::string &to);
  /// Appends what is still held back.
  void finish(std::string &to);

private:
  void decode(std::string &to);
  Tokenizer tokenizer;
  bool skipSpecial;
  std::vector<int32_t> ids; // the last ones that were given, then those held back
  size_t given = 0;
  std::string shown, text;  // of the given ones, and of all
  std::vector<std::string> tokens;
};

} // namespace bigm::text
