// Matrix products and sums over letters.
#include "OnnxNode.h"
#include <algorithm>
#include <map>

namespace bigm::sema::onnx_import {
namespace {

Vals matmul(NodeCall &c) { return {c.t.matmul(c.x(0), c.x(1))}; }

Vals gemm(NodeCall &c) {
  const Val &a = c.x(0), &b = c.x(1);
  if (a.rank() != 2 || b.rank() != 2)
    refuse("a product of " + typeText(a) + " and " + typeText(b));
  bool ta = c.integer("transA", 0), tb = c.integer("transB", 0);
  if (a.shape[ta ? 0 : 1] != b.shape[tb ? 1 : 0])
    refuse(typeText(a) + " and " + typeText(b) + " do not multiply", a.shape[ta ? 0 : 1], b.shape[tb ? 1 : 0]);
  AffineIndices left = {index(0), index(2)}, right = {index(2), index(1)};
  if (ta)
    std::swap(left[0], left[1]);
  if (tb)
    std::swap(right[0], right[1]);
  Val y = c.t.contract(a, b, left, right, {a.shape[ta ? 1 : 0], b.shape[tb ? 0 : 1]}, {a.shape[ta ? 0 : 1]});
  double alpha = c.real("alpha", 1), beta = c.real("beta", 1);
  if (alpha != 1)
    y = c.t.mul(y, alpha);
  if (c.has(2) && beta != 0)
    y = c.t.add(y, beta == 1 ? c.in[2] : c.t.mul(c.in[2], beta));
  return {y};
}

/// An operand of einsum: a dimension for each letter; ellipses get letters of their own, '0', '1', ... from the right.
struct Lettered {
  Val v;
  std::string letters;
};

/// Sums over what stands twice, so that each letter stands once.
Lettered diagonal(Tensors &t, Lettered l) {
  for (size_t i = 0; i < l.letters.size(); ++i)
    for (size_t j = i + 1; j < l.letters.size(); ++j)
      if (l.letters[i] == l.letters[j]) {
        if (l.v.shape[i] != l.v.shape[j])
          refuse(std::string("`") + l.letters[i] + "` stands for two sizes", l.v.shape[i], l.v.shape[j]);
        AffineIndices map;
        std::vector<Dim> shape;
        std::string rest;
        for (size_t d = 0, k = 0; d < l.letters.size(); ++d) {
          map.push_back(index(uint32_t(d == j ? i : k)));
          if (d == j)
            continue;
          shape.push_back(l.v.shape[d]);
          rest += l.letters[d];
          ++k;
        }
        return diagonal(t, {t.view(l.v, shape, map), rest});
      }
  return l;
}

Lettered product(Tensors &t, const Lettered &a, const Lettered &b, const std::string &keep) {
  std::string kept, summed;
  std::map<char, Dim> size;
  for (const Lettered *l : {&a, &b})
    for (size_t i = 0; i < l->letters.size(); ++i) {
      char letter = l->letters[i];
      auto [at, fresh] = size.emplace(letter, l->v.shape[i]);
      if (!fresh && at->second == Dim(1))
        at->second = l->v.shape[i];
      else if (!fresh && l->v.shape[i] != Dim(1) && l->v.shape[i] != at->second)
        refuse(std::string("`") + letter + "` stands for the sizes " + at->second.str() + " and " +
               l->v.shape[i].str(), at->second, l->v.shape[i]);
      if (fresh)
        (keep.find(letter) != std::string::npos ? kept : summed) += letter;
    }
  std::string all = kept + summed;
  auto map = [&](const Lettered &l) {
    AffineIndices m;
    for (size_t i = 0; i < l.letters.size(); ++i)
      m.push_back(l.v.shape[i] == size.at(l.letters[i]) ? index(uint32_t(all.find(l.letters[i]))) : index(0, 0));
    return m;
  };
  std::vector<Dim> shape, reduced;
  for (char letter : kept)
    shape.push_back(size.at(letter));
  for (char letter : summed)
    reduced.push_back(size.at(letter));
  return {t.contract(a.v, b.v, map(a), map(b), shape, reduced), kept};
}

Vals einsum(NodeCall &c) {
  std::string text;
  for (char letter : c.text("equation", ""))
    if (letter != ' ')
      text += letter;
  size_t arrow = text.find("->");
  std::string left = text.substr(0, arrow), right;
  std::vector<Lettered> parts;
  std::string ellipsis;
  size_t at = 0;
  for (size_t i = 0; i < c.in.size(); ++i) {
    size_t comma = std::min(left.find(',', at), left.size());
    std::string letters = left.substr(at, comma - at);
    at = comma + 1;
    Lettered l{c.x(i), letters};
    if (size_t dots = letters.find("..."); dots != std::string::npos) {
      size_t more = l.v.rank() + 3 - letters.size();
      if (l.v.rank() + 3 < letters.size() || more > 10)
        refuse("`" + letters + "` for " + typeText(l.v));
      std::string digits;
      for (size_t k = more; k-- > 0;)
        digits += char('0' + k);
      l.letters = letters.substr(0, dots) + digits + letters.substr(dots + 3);
      if (digits.size() > ellipsis.size())
        ellipsis = digits;
    }
    if (l.letters.size() != l.v.rank())
      refuse("`" + letters + "` for " + typeText(l.v));
    parts.push_back(l);
  }
  if (arrow != std::string::npos) {
    right = text.substr(arrow + 2);
    if (size_t dots = right.find("..."); dots != std::string::npos)
      right = right.substr(0, dots) + ellipsis + right.substr(dots + 3);
  } else { // letters that stand once, in order
    std::map<char, int> count;
    for (auto &p : parts)
      for (char letter : p.letters)
        ++count[letter];
    right = ellipsis;
    for (auto [letter, n] : count)
      if (n == 1 && isalpha((unsigned char)letter))
        right += letter;
  }
  if (parts.empty())
    refuse("no operand");
  for (auto &p : parts)
    p = diagonal(c.t, p);
  Lettered result = parts[0];
  for (size_t i = 1; i < parts.size(); ++i) {
    std::string keep = right;
    for (size_t j = i + 1; j < parts.size(); ++j)
      keep += parts[j].letters;
    result = product(c.t, result, parts[i], keep);
  }
  std::vector<int64_t> gone, order;
  std::string rest;
  for (size_t i = 0; i < result.letters.size(); ++i)
    if (right.find(result.letters[i]) == std::string::npos)
      gone.push_back(int64_t(i));
    else
      rest += result.letters[i];
  Val y = c.t.sum(result.v, gone, false);
  for (char letter : right) {
    size_t i = rest.find(letter);
    if (i == std::string::npos)
      refuse(std::string("`") + letter + "` of the result stands in no operand");
    order.push_back(int64_t(i));
  }
  return {c.t.transpose(y, order)};
}

// By elimination without exchange of rows would divide by zero; the sum over permutations serves small matrices.
Vals determinant(NodeCall &c) {
  const Val &x = c.x();
  size_t r = x.rank();
  int64_t n = r < 2 || x.shape[r - 1] != x.shape[r - 2] ? 0 : c.t.number(x.shape[r - 1], "the size of the matrix");
  if (n < 1 || n > 4)
    refuse("the determinant of " + typeText(x));
  std::vector<int64_t> columns(n);
  for (int64_t i = 0; i < n; ++i)
    columns[i] = i;
  auto at = [&](int64_t i, int64_t j) {
    return c.t.squeeze(c.t.slice(c.t.slice(x, r - 2, i, 1), r - 1, j, 1), {-1, -2});
  };
  Val sum;
  do {
    int swaps = 0;
    Val term = at(0, columns[0]);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = i + 1; j < n; ++j)
        swaps += columns[i] > columns[j];
    for (int64_t i = 1; i < n; ++i)
      term = c.t.mul(term, at(i, columns[i]));
    sum = !sum.some() ? term : swaps % 2 ? c.t.sub(sum, term) : c.t.add(sum, term);
  } while (std::next_permutation(columns.begin(), columns.end()));
  return {sum};
}

} // namespace

void addProducts(Table &t) {
  const Table mine = {{"MatMul", matmul}, {"Gemm", gemm}, {"Einsum", einsum}, {"Det", determinant}};
  t.insert(mine.begin(), mine.end());
}

} // namespace bigm::sema::onnx_import
