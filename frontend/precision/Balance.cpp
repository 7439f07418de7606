#include "frontend/precision/Balance.h"
#include <algorithm>
#include <bit>
#include <cmath>

namespace bigm {
namespace {

/// Shares of the difference between channels that activations give to the weights; 0: none, nothing is balanced.
constexpr double shares[] = {0, 0.5, 0.6, 0.7, 0.8, 0.9, 1};
/// What balancing must save of the error to be worth a factor for each channel.
constexpr double worth = 0.25;

/// Calls `use` with each element of the weight, its channel among the results, and that among the activations.
template <class Use> void forEach(const Multiplier &w, Use &&use) {
  auto inner = [&](int dim) {
    int64_t all = 1;
    for (size_t d = size_t(dim) + 1; d < w.shape.size(); ++d)
      all *= w.shape[d];
    return all;
  };
  const int64_t results = w.shape[size_t(w.axis)], channels = w.shape[size_t(w.along)], innerResult = inner(w.axis), innerChannel = inner(w.along);
  for (size_t i = 0; i < w.elements.size(); ++i)
    use(w.elements[i], int64_t(i) / innerResult % results, int64_t(i) / innerChannel % channels);
}

/// What was counted of one channel.
struct Channel {
  double largest = 0, squares = 0; // of magnitudes; sum over all that was seen
  double weights = 0;              // sum of the squares of the weights that multiply it
};

/// With eight bits of mantissa: the manifest has them as short numbers.
float rounded(double value) { return std::bit_cast<float>(std::bit_cast<uint32_t>(float(value)) & 0xffff0000u); }

} // namespace

double Bins::edge(int bin) const { return std::exp2(double(bin) / inOctave + least); }

std::optional<Range> bestRange(std::span<const float> counts, double *error) {
  struct Bin {
    double value, count;
  };
  // The middle of a bin stands for what it counts; the range begins and ends at the outer edges of bins.
  constexpr Bins from = fineBins;
  auto edge = [&](int bin) { return from.edge(bin); };
  std::vector<Bin> bins;
  std::vector<double> lows{0}, highs{0}; // from zero outwards
  for (int b = 0; b < from.each; ++b) {
    double middle = (edge(b) + edge(b + 1)) / 2;
    if (float n = counts[size_t(from.each - 1 - b)]; n > 0)
      bins.push_back({-middle, n}), lows.push_back(-edge(b + 1));
    if (float n = counts[size_t(from.each + b)]; n > 0)
      bins.push_back({middle, n}), highs.push_back(edge(b + 1));
  }
  if (bins.empty())
    return std::nullopt;
  // Cutting goes two octaves in at most: further in nothing was ever gained by it.
  auto near = [](std::vector<double> &ends) {
    double last = ends.back();
    std::erase_if(ends, [&](double end) { return std::abs(end) < std::abs(last) / 4; });
  };
  near(lows), near(highs);
  Range best{};
  double least = INFINITY;
  for (double low : lows)
    for (double high : highs) {
      double step = (high - low) / 255, all = 0;
      for (const Bin &bin : bins) {
        double over = std::max({0.0, bin.value - high, low - bin.value});
        all += bin.count * (over > 0 ? over * over : std::min(step * step / 12, bin.value * bin.value));
        if (all >= least)
          break;
      }
      if (all >= least)
        continue;
      least = all;
      best = {float(step), 1 / float(step), float(std::nearbyint(-low / step)), {}};
    }
  if (error)
    *error = least;
  return best;
}


std::optional<Range> balancedRange(std::span<const float> counts, int64_t channels, const std::vector<Multiplier> &multipliers) {
  constexpr Bins bins = channelBins;
  auto countsOfChannel = [&](int64_t k) { return counts.subspan(size_t(k * 2 * bins.each), size_t(2 * bins.each)); };
  auto middle = [&](int place) { // of a bin, with its sign
    int bin = place < bins.each ? bins.each - 1 - place : place - bins.each;
    return (bins.edge(bin) + bins.edge(bin + 1)) / 2 * (place < bins.each ? -1 : 1);
  };
  std::vector<Channel> seen(static_cast<size_t>(channels));
  double most = 0;
  for (int64_t k = 0; k < channels; ++k)
    for (int place = 0; place < 2 * bins.each; ++place)
      if (double n = countsOfChannel(k)[size_t(place)]; n > 0) {
        double value = std::abs(middle(place));
        seen[size_t(k)].largest = std::max(seen[size_t(k)].largest, value);
        seen[size_t(k)].squares += n * value * value;
        most = std::max(most, value);
      }
  if (most == 0)
    return std::nullopt;
  double rows = 0, all = 0; // weights of one channel; the sum of all their squares
  for (const Multiplier &w : multipliers) {
    rows += double(w.elements.size()) / double(channels);
    forEach(w, [&](float value, int64_t, int64_t k) { seen[size_t(k)].weights += double(value) * value; });
  }
  for (const Channel &c : seen)
    all += c.weights;
  // A channel that is always 0, or that nothing multiplies, is taken to be small, not nothing.
  const double leastLargest = most * 1e-4, leastWeight = std::sqrt(all / double(channels) / rows) * 1e-4 + 1e-30;

  std::optional<Range> best;
  double least = INFINITY;
  for (double share : shares) {
    std::vector<float> factors(static_cast<size_t>(channels), 1.f);
    if (share > 0) {
      double logs = 0; // their mean is taken out, so that magnitudes stay about what they were
      std::vector<double> exact(factors.size());
      for (size_t k = 0; k < factors.size(); ++k) {
        double weight = std::max(std::sqrt(seen[k].weights / rows), leastWeight);
        exact[k] = (1 - share) * std::log2(weight) - share * std::log2(std::max(seen[k].largest, leastLargest));
        logs += exact[k] / double(channels);
      }
      for (size_t k = 0; k < factors.size(); ++k)
        factors[k] = rounded(std::exp2(exact[k] - logs));
    }
    // Of activations: all channels in one histogram, each element as heavy as what multiplies it.
    std::vector<float> together(size_t(2 * fineBins.each));
    double squares = 0;
    for (size_t k = 0; k < factors.size(); ++k) {
      double weight = seen[k].weights / (double(factors[k]) * factors[k]);
      squares += seen[k].squares * factors[k] * factors[k];
      for (int place = 0; place < 2 * bins.each; ++place)
        if (double n = countsOfChannel(int64_t(k))[size_t(place)]; n > 0) {
          double value = middle(place) * factors[k];
          int bin = std::clamp(int(std::floor((std::log2(std::abs(value)) - fineBins.least) * fineBins.inOctave)), 0, fineBins.each - 1);
          together[size_t(value < 0 ? fineBins.each - 1 - bin : fineBins.each + bin)] += float(n * weight);
        }
    }
    double error = 0;
    auto range = bestRange(together, &error);
    if (!range)
      return std::nullopt; // all weights are 0
    for (const Multiplier &w : multipliers) {
      std::vector<double> largest(size_t(w.shape[size_t(w.axis)]));
      forEach(w, [&](float value, int64_t o, int64_t k) { largest[size_t(o)] = std::max(largest[size_t(o)], double(std::abs(value) / factors[size_t(k)])); });
      for (double size : largest)
        error += squares * size * size / (127.0 * 127 * 12);
    }
    if (error >= least * (share > 0 && best && best->balance.empty() ? 1 - worth : 1))
      continue;
    least = error;
    best = std::move(range);
    if (share > 0)
      best->balance = std::move(factors);
  }
  return best;
}

} // namespace bigm
