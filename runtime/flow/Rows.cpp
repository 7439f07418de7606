#include "Rows.h"
#include <algorithm>

namespace bigm::flow {

IdRows idRows(const text::Tokenizer &tokenizer, const std::vector<std::string> &texts, const text::EncodeOptions &options,
              int64_t length) {
  std::vector<std::vector<int32_t>> rows;
  for (auto &t : texts)
    rows.push_back(tokenizer.encode(t, options).ids);
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

} // namespace bigm::flow
