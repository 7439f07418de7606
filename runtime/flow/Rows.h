// Texts as rows of ids: what `tokens` makes, for the data loader and for flows.
#pragma once
#include "runtime/data/Tensor.h"
#include "runtime/text/Tokenizer.h"
#include <span>

namespace bigm::flow {

/// Rows of ids, i32[N, T], padded at their ends, and how many of each row are no padding, i32[N].
struct IdRows {
  data::Tensor ids, lengths;
};
/// T is `length`, or where that is 0 the longest row. A text without tokens is a row of padding: a size is at least 1.
/// Throws text::Error for a text that the vocabulary cannot express. `around` as in text::inside.
IdRows idRows(const text::Tokenizer &tokenizer, const std::vector<std::string> &texts, const text::EncodeOptions &options,
              int64_t length, std::string_view around = {});
/// The same of rows of ids; of each at most so many, 0 being no bound.
IdRows paddedRows(const std::vector<std::vector<int32_t>> &rows, int32_t padding, int64_t length, int64_t atMost);

/// Texts of elements, `counts[r]` of them for row r, all ids of a row's one behind the other, and where those of each begin,
/// i32[N, B], B being as many elements as the longest row has and 1 at least. Where `atMost` leaves nothing of an element its
/// place is 0 and it is not counted.
struct PieceRows {
  IdRows ids, starts;
};
PieceRows pieceRows(const text::Tokenizer &tokenizer, const std::vector<std::string> &texts, std::span<const int32_t> counts,
                    const text::EncodeOptions &options, int64_t length);
/// One id for each element, i32[N, B]. Throws text::Error, with the name `by` of the tokenizer, for one that has another number.
IdRows elementRows(const text::Tokenizer &tokenizer, const std::vector<std::string> &texts, std::span<const int32_t> counts,
                   const std::string &by);

} // namespace bigm::flow
