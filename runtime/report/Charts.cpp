// Charts are drawn in a box of 640 x 300 that the page scales. Curves of single steps are noise: they are drawn faint,
// with their running mean on top.
#include "Charts.h"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bigm::report {
namespace {

constexpr double kWidth = 640, kHeight = 300, kLeft = 66, kRight = 14, kTop = 24, kBottom = 42;
// Okabe and Ito's colours, which stay apart for colour-blind readers, darkened for white.
constexpr const char *kColours[] = {"#0b62a4", "#c8500a", "#00805f", "#a8437f", "#7a6a00", "#3f3f46", "#1b8fc4"};

/// Multiples of 1, 2 or 5 times a power of ten: at most `most` steps.
std::vector<double> ticks(double low, double high, int most) {
  double step = std::pow(10, std::floor(std::log10((high - low) / most)));
  for (double times : {1.0, 2.0, 5.0, 10.0})
    if ((high - low) / (step * times) <= most) {
      step *= times;
      break;
    }
  std::vector<double> out;
  for (int64_t i = std::llround(std::ceil(low / step - 1e-9)); double(i) * step <= high + step * 1e-6; ++i)
    out.push_back(double(i) * step);
  return out;
}

/// Running mean with a reach of about one eightieth of the curve, corrected at its beginning.
std::vector<std::pair<double, double>> smooth(const std::vector<std::pair<double, double>> &points) {
  double keep = 1 - 1 / std::max(1.0, double(points.size()) / 80), sum = 0, weight = 0;
  std::vector<std::pair<double, double>> out;
  for (auto &[x, y] : points) {
    sum = keep * sum + (1 - keep) * y;
    weight = keep * weight + (1 - keep);
    out.emplace_back(x, sum / weight);
  }
  return out;
}

} // namespace

std::string escaped(const std::string &text) {
  std::string out;
  for (char c : text)
    switch (c) {
    case '&': out += "&amp;"; break;
    case '<': out += "&lt;"; break;
    case '>': out += "&gt;"; break;
    case '"': out += "&quot;"; break;
    case '\'': out += "&#39;"; break;
    default: out += c;
    }
  return out;
}

std::string numberText(double v) {
  if (v == std::floor(v) && std::abs(v) < 1e7) {
    std::string digits = fmt::format("{:.0f}", std::abs(v));
    for (int at = int(digits.size()) - 3; at > 0; at -= 3)
      digits.insert(size_t(at), ",");
    return (v < 0 ? "-" : "") + digits;
  }
  return fmt::format("{:.3g}", v);
}

std::string renderChart(const Chart &chart, int number) {
  double x0 = 1e300, x1 = -1e300, y0 = 1e300, y1 = -1e300;
  std::vector<std::vector<std::pair<double, double>>> smoothed;
  for (auto &curve : chart.curves) {
    smoothed.push_back(!curve.dots && curve.points.size() > 60 ? smooth(curve.points) : curve.points);
    // A burst of noise must not flatten the rest: the raw curve may be cut off at the top.
    for (auto &[x, y] : smoothed.back())
      x0 = std::min(x0, x), x1 = std::max(x1, x), y0 = std::min(y0, y), y1 = std::max(y1, y);
  }
  if (x0 > x1)
    return "";
  for (auto &[x, name] : chart.phases)
    x0 = std::min(x0, x);
  if (!chart.share && y0 > 0)
    y0 = 0;
  if (chart.share) {
    y1 = std::min(1.0, y1 + (y1 - y0) * .08);
    y0 = std::max(0.0, y0 - (y1 - y0) * .08);
  } else {
    y1 += (y1 - y0) * .05;
  }
  if (x1 <= x0)
    x0 -= .5, x1 += .5;
  if (y1 - y0 < 1e-9)
    y0 -= chart.share ? .01 : .5, y1 += chart.share ? .01 : .5;
  auto px = [&](double x) { return kLeft + (x - x0) / (x1 - x0) * (kWidth - kLeft - kRight); };
  auto py = [&](double y) { return kHeight - kBottom - (y - y0) / (y1 - y0) * (kHeight - kTop - kBottom); };
  auto path = [&](const std::vector<std::pair<double, double>> &points) {
    std::string d;
    for (auto &[x, y] : points)
      d += fmt::format("{}{:.1f} {:.1f}", d.empty() ? "M" : "L", px(x), py(y));
    return d;
  };

  std::string clip = fmt::format("clip{}", number);
  std::string svg = fmt::format("<figure class=\"chart\"><figcaption>{}</figcaption>\n"
                                "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n"
                                "<clipPath id=\"{}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>\n",
                                escaped(chart.title), kWidth, kHeight, escaped(chart.title), clip, kLeft - 5, kTop - 4,
                                kWidth - kLeft - kRight + 10, kHeight - kTop - kBottom + 8);
  for (double t : ticks(y0, y1, 5))
    svg += fmt::format("<path class=\"grid\" d=\"M{} {:.1f}H{}\"/><text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                       kLeft, py(t), kWidth - kRight, kLeft - 6, py(t) + 4,
                       chart.share ? fmt::format("{:.4g} %", 100 * t) : numberText(t));
  for (double t : ticks(x0, x1, 6))
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", px(t), kHeight - kBottom + 18, numberText(t));
  svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">step</text>\n", kWidth - kRight, kHeight - 3);
  svg += fmt::format("<path class=\"axis\" d=\"M{} {}H{}\"/>\n", kLeft, kHeight - kBottom, kWidth - kRight);
  double nameEnds = -1e9;
  for (auto &[x, name] : chart.phases) {
    double at = px(x);
    svg += fmt::format("<path class=\"phase\" d=\"M{:.1f} {}V{}\"/>", at, kTop - 8, kHeight - kBottom);
    if (at > nameEnds) { // names that would lie on each other are left out
      svg += fmt::format("<text class=\"phase\" x=\"{:.1f}\" y=\"{}\">{}</text>\n", at + 4, kTop - 10, escaped(name));
      nameEnds = at + 4 + 7.5 * double(name.size());
    }
  }
  std::string legend;
  svg += fmt::format("<g clip-path=\"url(#{})\">\n", clip);
  for (size_t i = 0; i < chart.curves.size(); ++i) {
    auto &curve = chart.curves[i];
    const char *colour = kColours[i % std::size(kColours)];
    if (!curve.dots && curve.points.size() > 60)
      svg += fmt::format("<path class=\"faint\" stroke=\"{}\" d=\"{}\"/>\n", colour, path(curve.points));
    svg += fmt::format("<path class=\"line\" stroke=\"{}\" d=\"{}\"/>\n", colour, path(smoothed[i]));
    if (curve.dots || curve.points.size() == 1)
      for (auto &[x, y] : curve.points)
        svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"><title>{}: {} at step {}</title></circle>\n",
                           px(x), py(y), colour, escaped(curve.name), chart.share ? fmt::format("{:.2f} %", 100 * y) : fmt::format("{:.4g}", y),
                           numberText(x));
    double last = curve.points.back().second;
    legend += fmt::format("<li><i style=\"background:{}\"></i>{} <b>{}</b></li>", colour, escaped(curve.name),
                          chart.share ? fmt::format("{:.2f} %", 100 * last) : fmt::format("{:.4g}", smoothed[i].back().second));
  }
  return svg + "</g>\n</svg>\n<ul class=\"legend\">" + legend + "</ul></figure>\n";
}

} // namespace bigm::report
