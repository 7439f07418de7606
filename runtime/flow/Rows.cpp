#include "Rows.h"
#include <algorithm>

namespace bigm::flow {

IdRows idRows(const text::Tokenizer &tokenizer, const std::vector<std::string> &texts, const text::EncodeOptions &options,
              int64_t length, std::string_view around) {
  std::vector<std::vector<int32_t>> rows;
  for (auto &t : texts)
    rows.push_back(tokenizer.encode(around.empty() ? t : text::inside(around, t), options).ids);
  return paddedRows(rows, tokenizer.padding(), length, 0);
}

IdRows paddedRows(const std::vector<std::vector<int32_t>> &rows, int32_t padding, int64_t length, int64_t atMost) {
  int64_t n = int64_t(rows.size()), longest = 1;
  auto sizeOf = [&](const std::vector<int32_t> &row) { return atMost > 0 ? std::min(atMost, int64_t(row.size())) : int64_t(row.size()); };
  for (auto &row : rows)
    longest = std::max(longest, sizeOf(row));
  if (length > 0)
    longest = length;
  IdRows out{data::Tensor(data::Elem::I32, {n, longest}), data::Tensor(data::Elem::I32, {n})};
  std::fill_n(out.ids.as<int32_t>(), n * longest, padding);
  for (int64_t i = 0; i < n; ++i) {
    int64_t there = std::min(sizeOf(rows[size_t(i)]), longest);
    std::copy_n(rows[size_t(i)].begin(), there, out.ids.as<int32_t>() + i * longest);
    out.lengths.as<int32_t>()[i] = int32_t(there);
  }
  return out;
}

static int64_t longestOf(std::span<const int32_t> counts) {
  return counts.empty() ? 1 : std::max<int64_t>(1, *std::max_element(counts.begin(), counts.end()));
}

PieceRows pieceRows(const text::Tokenizer &tokenizer, const std::vector<std::string> &texts, std::span<const int32_t> counts,
                    const text::EncodeOptions &options, int64_t length) {
  std::vector<std::vector<int32_t>> ids, starts;
  std::span<const std::string> rest = texts;
  for (int32_t count : counts) {
    text::WordIds row = tokenizer.encodeWords(rest.first(size_t(count)), options);
    rest = rest.subspan(size_t(count));
    ids.push_back(std::move(row.ids));
    starts.push_back(std::move(row.starts));
  }
  return {paddedRows(ids, tokenizer.padding(), length, 0), paddedRows(starts, 0, longestOf(counts), 0)};
}

IdRows elementRows(const text::Tokenizer &tokenizer, const std::vector<std::string> &texts, std::span<const int32_t> counts,
                   const std::string &by) {
  text::EncodeOptions options;
  options.special = options.limits = false;
  std::vector<std::vector<int32_t>> rows;
  size_t at = 0;
  for (int32_t count : counts)
    for (rows.emplace_back(); rows.back().size() < size_t(count); ++at) {
      std::vector<int32_t> ids = tokenizer.encode(texts[at], options).ids;
      if (ids.size() != 1)
        throw text::Error("the element `" + texts[at] + "` has " + std::to_string(ids.size()) + " ids by `" + by +
                          "`, and `tokens` gives an element of a list one: fit the vocabulary on the elements, or take `pieces`");
      rows.back().push_back(ids[0]);
    }
  return paddedRows(rows, tokenizer.padding(), longestOf(counts), 0);
}

} // namespace bigm::flow
