// The third step of a tokenizer: a piece of text into ids.
#pragma once
#include "Text.h"
#include "Vocabulary.h"
#include <memory>

namespace bigm::text {

/// An id and the bytes of the piece that it stands for.
struct Token {
  int32_t id;
  uint32_t begin, end;
};

class Model {
public:
  virtual ~Model() = default;
  /// Appends the tokens of a piece, which is not empty. Threads may call it at the same time. Throws Error when the
  /// vocabulary cannot express the piece.
  virtual void encode(std::string_view piece, std::vector<Token> &out) const = 0;
  /// What a token of the piece looks like.
  virtual std::string_view shown(const Token &token, std::string_view) const { return vocabulary.token(token.id); }
  /// How many tokens there are: the first added token that is not among them has this id.
  virtual size_t size() const { return vocabulary.tokens(); }
  Vocabulary vocabulary;
};

/// From `model` of a tokenizer.json. Throws Error naming the place.
std::unique_ptr<Model> readModel(const Settings &settings);

// The kinds, each in a file of its own.
std::unique_ptr<Model> readWordPiece(const Settings &settings);
std::unique_ptr<Model> readWordLevel(const Settings &settings);
std::unique_ptr<Model> readBpe(const Settings &settings);
std::unique_ptr<Model> readUnigram(const Settings &settings);

/// "<0x0A>"
std::string byteToken(uint8_t byte);

} // namespace bigm::text
