// Attention and its gradient in plain loops, from the formulas in ir/BigmOps.td.
#include "backends/ref/Ref.h"
#include "ir/Attention.h"
#include "llvm/ADT/ArrayRef.h"
#include <cmath>

namespace mlir::bigm::ref {

namespace {

/// Tensors [N, T, H, D], what a query sees and what is added to scores.
struct Shape {
  int64_t batch, length, keys, heads, width;
  const Tensor *mask, *bias; // null: all is visible, nothing is added
  bool causal;
  double scale, hidden;

  /// The operands from `more` on are the mask and the bias.
  Shape(ArrayRef<const Tensor *> in, unsigned more, const Attending &how)
      : batch(in[0]->shape[0]), length(in[0]->shape[1]), keys(in[1]->shape[1]), heads(in[0]->shape[2]),
        width(in[0]->shape[3]), mask(how.masked ? in[more] : nullptr),
        bias(how.biased ? in[more + how.masked] : nullptr), causal(how.causal),
        scale(how.scale ? *how.scale : 1 / std::sqrt(double(width))), hidden(how.strict ? -INFINITY : lowestScore) {}

  int64_t ofQuery(int64_t n, int64_t i, int64_t h) const { return ((n * length + i) * heads + h) * width; }
  int64_t ofKey(int64_t n, int64_t j, int64_t h) const { return ((n * keys + j) * heads + h) * width; }
  int64_t ofRow(int64_t n, int64_t h, int64_t i) const { return (n * heads + h) * length + i; }
  bool visible(int64_t n, int64_t i, int64_t j) const {
    return (!causal || j <= i + (keys - length)) && (!mask || mask->data[n * keys + j] != 0);
  }
  int64_t ofBias(int64_t n, int64_t h, int64_t i, int64_t j) const {
    ArrayRef<int64_t> shape = bias->shape;
    return (((shape[0] == 1 ? 0 : n) * shape[1] + (shape[1] == 1 ? 0 : h)) * shape[2] + (shape[2] == 1 ? 0 : i)) * shape[3] + j;
  }
  double dot(const double *x, const double *y) const {
    double sum = 0;
    for (int64_t d = 0; d < width; ++d)
      sum += x[d] * y[d];
    return sum;
  }
  /// Calls each(n, h, i) for all rows of scores.
  template <class Each> void rows(Each each) const {
    for (int64_t n = 0; n < batch; ++n)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < length; ++i)
          each(n, h, i);
  }
  double score(const Tensor &q, const Tensor &k, int64_t n, int64_t h, int64_t i, int64_t j) const {
    double score = visible(n, i, j) ? scale * dot(&q.data[ofQuery(n, i, h)], &k.data[ofKey(n, j, h)]) : hidden;
    if (bias)
      score += bias->data[ofBias(n, h, i, j)];
    return score < 1.5 * lowestScore ? -INFINITY : score; // as f32 has it
  }
};

void clear(Tensor &tensor) {
  int64_t count = 1;
  for (int64_t size : tensor.shape)
    count *= size;
  tensor.data.assign(count, 0);
}
} // namespace

void attend(ArrayRef<const Tensor *> in, const Attending &how, MutableArrayRef<Tensor> out) {
  const Tensor &q = *in[0], &k = *in[1], &v = *in[2];
  Shape shape(in, 3, how);
  Tensor &y = out[0], &statistic = out[1];
  clear(y), clear(statistic);
  shape.rows([&](int64_t n, int64_t h, int64_t i) {
    std::vector<double> weight;
    double most = lowestScore, sum = 0; // not -inf, which could not be subtracted from -inf
    for (int64_t j = 0; j < shape.keys; ++j) {
      weight.push_back(shape.score(q, k, n, h, i, j));
      most = std::max(most, weight.back());
    }
    for (double &w : weight)
      sum += w = std::exp(w - most);
    for (int64_t j = 0; j < shape.keys; ++j)
      for (int64_t d = 0; d < shape.width; ++d)
        y.data[shape.ofQuery(n, i, h) + d] += weight[j] / sum * v.data[shape.ofKey(n, j, h) + d];
    statistic.data[shape.ofRow(n, h, i)] = most + std::log(sum);
  });
}

void attendGrad(ArrayRef<const Tensor *> in, const Attending &how, MutableArrayRef<Tensor> out) {
  const Tensor &q = *in[0], &k = *in[1], &v = *in[2], &dy = *in[3], &statistic = *in[4], &delta = *in[5];
  Shape shape(in, 6, how);
  Tensor &dq = out[0], &dk = out[1], &dv = out[2], *dbias = out.size() > 3 ? &out[3] : nullptr;
  for (Tensor &gradient : out)
    clear(gradient);
  shape.rows([&](int64_t n, int64_t h, int64_t i) {
    int64_t row = shape.ofRow(n, h, i), query = shape.ofQuery(n, i, h);
    bool seesNothing = statistic.data[row] < lowStatistic;
    for (int64_t j = 0; j < shape.keys; ++j) {
      int64_t key = shape.ofKey(n, j, h);
      double p = seesNothing ? 1.0 / shape.keys : std::exp(shape.score(q, k, n, h, i, j) - statistic.data[row]);
      double ds = p * (shape.dot(&dy.data[query], &v.data[key]) - delta.data[row]);
      if (seesNothing || !shape.visible(n, i, j))
        ds = 0;
      if (dbias)
        dbias->data[shape.ofBias(n, h, i, j)] += ds;
      ds *= shape.scale;
      for (int64_t d = 0; d < shape.width; ++d) {
        dv.data[key + d] += p * dy.data[query + d];
        dq.data[query + d] += ds * k.data[key + d];
        dk.data[key + d] += ds * q.data[query + d];
      }
    }
  });
}

bool attendCached(ArrayRef<const Tensor *> in, Tensor &y) {
  const Tensor &q = *in[0], &k = *in[1], &v = *in[2], &keys = *in[3], &values = *in[4], &slot = *in[5], &past = *in[6];
  int64_t batch = q.shape[0], length = q.shape[1], heads = q.shape[2], width = q.shape[3], groups = k.shape[2];
  int64_t slots = keys.shape[0], capacity = keys.shape[1];
  clear(y);
  for (int64_t n = 0; n < batch; ++n) {
    int64_t at = int64_t(slot.data[n]), before = int64_t(past.data[n]);
    if (at < 0 || at >= slots || before < 0 || before > capacity)
      return false;
    for (int64_t i = 0; i < length; ++i)
      for (int64_t h = 0; h < heads; ++h) {
        int64_t group = h / (heads / groups);
        // Row j of what the query sees: first those that are kept.
        auto row = [&](const Tensor &kept, const Tensor &fresh, int64_t j) {
          return j < before ? &kept.data[((at * capacity + j) * groups + group) * width]
                            : &fresh.data[((n * length + j - before) * groups + group) * width];
        };
        const double *query = &q.data[((n * length + i) * heads + h) * width];
        std::vector<double> weight;
        double most = -INFINITY, sum = 0;
        for (int64_t j = 0; j <= before + i; ++j) {
          const double *key = row(keys, k, j);
          double score = 0;
          for (int64_t d = 0; d < width; ++d)
            score += query[d] * key[d];
          weight.push_back(score / std::sqrt(double(width)));
          most = std::max(most, weight.back());
        }
        for (double &w : weight)
          sum += w = std::exp(w - most);
        for (int64_t j = 0; j <= before + i; ++j)
          for (int64_t d = 0; d < width; ++d)
            y.data[((n * length + i) * heads + h) * width + d] += weight[j] / sum * row(values, v, j)[d];
      }
  }
  return true;
}

} // namespace mlir::bigm::ref
