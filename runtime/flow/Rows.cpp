#include "Rows.h"
#include <algorithm>

namespace bigm::flow {

IdRows idRows(const text::Tokenizer &tokenizer, const std::vector<std::string> &texts, const text::EncodeOptions &options,
              int64_t length) {
  std::vector<std::vector<int32_t>> rows;
  int64_t n = int64_t(texts.size()), longest = 1;
  for (auto &t : texts) {
    rows.push_back(tokenizer.encode(t, options).ids);
    longest = std::max(longest, int64_t(rows.back().size()));
  }
  if (length > 0)
    longest = length;
  IdRows out{data::Tensor(data::Elem::I32, {n, longest}), data::Tensor(data::Elem::I32, {n})};
  std::fill_n(out.ids.as<int32_t>(), n * longest, tokenizer.padding());
  for (int64_t i = 0; i < n; ++i) {
    const auto &row = rows[size_t(i)];
    size_t there = std::min(row.size(), size_t(longest));
    std::copy_n(row.begin(), there, out.ids.as<int32_t>() + i * longest);
    out.lengths.as<int32_t>()[i] = int32_t(there);
  }
  return out;
}

} // namespace bigm::flow
