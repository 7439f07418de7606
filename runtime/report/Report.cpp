// The page. Everything is inside the file: styles, SVG, and pictures as PNG data URIs, so that it can be mailed.
#include "Report.h"
#include "Charts.h"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bigm::report {
namespace {

constexpr const char *kStyle = R"(
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #18181b; font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 40px 0 12px; padding-top: 12px; border-top: 1px solid #d4d4d8; }
h3 { font-size: 16px; margin: 20px 0 8px; }
p.sub { margin: 4px 0 0; color: #52525b; }
.numbers, .gates { display: flex; flex-wrap: wrap; gap: 12px; padding: 0; margin: 20px 0 0; list-style: none; }
.numbers li { border: 1px solid #d4d4d8; border-radius: 8px; padding: 8px 14px; min-width: 120px; }
.numbers b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; }
.numbers span { color: #52525b; font-size: 14px; }
.gates li { border-radius: 8px; padding: 8px 14px; border: 1px solid; }
.gates .held { border-color: #15803d; color: #14532d; background: #f0fdf4; }
.gates .failed { border-color: #b91c1c; color: #7f1d1d; background: #fef2f2; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: 24px; }
figure { margin: 0; }
figcaption { font-weight: 600; }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 13px; fill: #3f3f46; }
svg text.phase { fill: #18181b; font-weight: 600; }
svg .grid { stroke: #e4e4e7; fill: none; }
svg .axis { stroke: #71717a; fill: none; }
svg path.phase { stroke: #71717a; stroke-dasharray: 4 4; fill: none; }
svg .line { fill: none; stroke-width: 2.4; stroke-linejoin: round; }
svg .faint { fill: none; stroke-width: 1; opacity: .28; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; list-style: none; margin: 4px 0 0; padding: 0; font-size: 14px; }
.legend i { display: inline-block; width: 14px; height: 4px; margin-right: 6px; vertical-align: middle; border-radius: 2px; }
.head { margin-top: 8px; }
.wide { overflow-x: auto; }
table.matrix { border-collapse: separate; border-spacing: 2px; font-size: 13px; font-variant-numeric: tabular-nums; width: 100%; max-width: 640px; table-layout: auto; }
table.matrix th { font-weight: 600; padding: 2px 3px; }
table.matrix td { text-align: center; padding: 6px 0; border-radius: 4px; }
table.matrix td.right { background: none; color: #3f3f46; padding-left: 6px; text-align: right; white-space: nowrap; }
table.matrix caption, .note { caption-side: bottom; text-align: left; color: #52525b; font-size: 14px; padding-top: 4px; }
.worst { display: grid; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); gap: 12px; padding: 0; margin: 8px 0 0; list-style: none; }
.worst li { font-size: 14px; line-height: 1.35; }
.worst img { width: 100%; max-width: 144px; image-rendering: pixelated; border: 1px solid #d4d4d8; border-radius: 6px; display: block; margin-bottom: 4px; }
.worst .guess { color: #b91c1c; font-weight: 600; }
@media (max-width: 560px) {
  svg text { font-size: 18px; }
  table.matrix { font-size: 11px; border-spacing: 1px; }
  table.matrix th { padding: 2px 1px; }
}
table.plain { border-collapse: collapse; width: 100%; font-size: 14px; }
table.plain th, table.plain td { text-align: left; vertical-align: top; padding: 5px 12px 5px 0; border-bottom: 1px solid #e4e4e7; overflow-wrap: anywhere; }
table.plain th { font-weight: 600; width: 38%; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 8px 40px; }
)";

std::string base64(const std::vector<uint8_t> &bytes) {
  static constexpr char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t three = bytes[i] << 16 | (i + 1 < bytes.size() ? bytes[i + 1] << 8 : 0) | (i + 2 < bytes.size() ? bytes[i + 2] : 0);
    out += kLetters[three >> 18];
    out += kLetters[three >> 12 & 63];
    out += i + 1 < bytes.size() ? kLetters[three >> 6 & 63] : '=';
    out += i + 2 < bytes.size() ? kLetters[three & 63] : '=';
  }
  return out;
}

/// Background for a cell: blue on the diagonal, orange beside it; few mistakes are still seen.
std::string shade(double share, bool diagonal) {
  double t = diagonal ? .08 + .42 * share : share > 0 ? .18 + .82 * std::sqrt(share) : 0;
  auto mix = [&](int full) { return int(255 + (full - 255) * std::min(1.0, t)); };
  return diagonal ? fmt::format("rgb({},{},{})", mix(20), mix(104), mix(190)) : fmt::format("rgb({},{},{})", mix(245), mix(130), mix(32));
}

std::string renderMatrix(const Head &head) {
  size_t n = head.classes.size();
  std::string out = "<div class=\"wide\"><table class=\"matrix\"><caption>rows: the truth; columns: the guess</caption>\n<tr><th></th>";
  for (auto &c : head.classes)
    out += fmt::format("<th scope=\"col\">{}</th>", escaped(c));
  out += "<th></th></tr>\n";
  for (size_t t = 0; t < n; ++t) {
    int64_t row = 0;
    for (int64_t v : head.counts[t])
      row += v;
    out += fmt::format("<tr><th scope=\"row\">{}</th>", escaped(head.classes[t]));
    for (size_t g = 0; g < n; ++g) {
      int64_t v = head.counts[t][g];
      double share = row ? double(v) / double(row) : 0;
      if (v == 0 && t != g)
        out += "<td></td>";
      else
        out += fmt::format("<td style=\"background:{}\" title=\"{} taken for {}: {} of {}\">{}</td>", shade(share, t == g),
                           escaped(head.classes[t]), escaped(head.classes[g]), v, row, v);
    }
    out += fmt::format("<td class=\"right\">{:.1f} %</td></tr>\n", row ? 100.0 * double(head.counts[t][t]) / double(row) : 0.0);
  }
  return out + "</table></div>\n";
}

/// For many classes a matrix says nothing; the pairs that are confused most do.
std::string renderPairs(const Head &head) {
  struct Pair {
    int64_t count;
    size_t truth, guess;
  };
  std::vector<Pair> pairs;
  for (size_t t = 0; t < head.classes.size(); ++t)
    for (size_t g = 0; g < head.classes.size(); ++g)
      if (t != g && head.counts[t][g] > 0)
        pairs.push_back({head.counts[t][g], t, g});
  std::sort(pairs.begin(), pairs.end(), [](auto &a, auto &b) { return std::tie(b.count, a.truth, a.guess) < std::tie(a.count, b.truth, b.guess); });
  pairs.resize(std::min<size_t>(pairs.size(), 15));
  std::string out = "<table class=\"plain\"><tr><th>truth</th><th>guess</th><th>times</th></tr>\n";
  for (auto &p : pairs)
    out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", escaped(head.classes[p.truth]), escaped(head.classes[p.guess]), p.count);
  return out + "</table>\n";
}

std::string renderHead(const Head &head) {
  int64_t all = 0, right = 0;
  for (size_t t = 0; t < head.counts.size(); ++t)
    for (size_t g = 0; g < head.counts[t].size(); ++g) {
      all += head.counts[t][g];
      right += t == g ? head.counts[t][g] : 0;
    }
  std::string out = fmt::format("<section class=\"head\"><h3>{}: {:.2f} % right, {} mistake{}</h3>\n", escaped(head.name),
                                all ? 100.0 * double(right) / double(all) : 0.0, numberText(double(head.mistakes)),
                                head.mistakes == 1 ? "" : "s");
  out += head.classes.size() <= 30 ? renderMatrix(head) : renderPairs(head);
  if (!head.worst.empty()) {
    out += "<p class=\"note\">The mistakes it was surest of</p><ul class=\"worst\">\n";
    for (auto &m : head.worst) {
      out += "<li>";
      if (m.picture.channels)
        out += fmt::format("<img alt=\"record {}\" src=\"data:image/png;base64,{}\">", m.record, base64(data::encodePng(m.picture, 9)));
      out += fmt::format("<span class=\"guess\">{}</span>, not {}<br>{}record {}</li>\n", escaped(m.guess), escaped(m.truth),
                         m.score > 0 ? fmt::format("{:.1f} % sure<br>", 100 * m.score) : "", m.record);
    }
    out += "</ul>\n";
  }
  return out + "</section>\n";
}

} // namespace

std::string render(const Report &r) {
  std::string out = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
                    escaped(r.title) + "</title>\n<style>" + kStyle + "</style></head>\n<body><main>\n";
  out += fmt::format("<h1>{}</h1>\n<p class=\"sub\">{}</p>\n", escaped(r.title), escaped(r.subtitle));
  if (!r.numbers.empty()) {
    out += "<ul class=\"numbers\">";
    for (auto &[name, value] : r.numbers)
      out += fmt::format("<li><b>{}</b><span>{}</span></li>", escaped(value), escaped(name));
    out += "</ul>\n";
  }
  if (!r.gates.empty()) {
    out += "<ul class=\"gates\">";
    for (auto &g : r.gates)
      out += fmt::format("<li class=\"{}\">{} {}{}</li>", g.held ? "held" : "failed", g.held ? "&#10003; held:" : "&#10007; failed:",
                         escaped(g.text), g.seen.empty() ? "" : ", measured " + escaped(g.seen));
    out += "</ul>\n";
  }
  if (!r.charts.empty()) {
    out += "<h2>Training</h2>\n<div class=\"charts\">\n";
    for (size_t i = 0; i < r.charts.size(); ++i)
      out += renderChart(r.charts[i], int(i));
    out += "</div>\n";
  }
  if (!r.heads.empty()) {
    out += "<h2>Right and wrong</h2>\n";
    if (!r.headsTitle.empty())
      out += "<p class=\"sub\">" + escaped(r.headsTitle) + "</p>\n";
    for (auto &head : r.heads)
      out += renderHead(head);
  }
  if (!r.tables.empty()) {
    out += "<h2>How it was made</h2>\n<div class=\"tables\">\n";
    for (auto &t : r.tables) {
      if (t.rows.empty())
        continue;
      out += fmt::format("<div><h3>{}</h3><table class=\"plain\">\n", escaped(t.title));
      for (auto &[key, value] : t.rows)
        out += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escaped(key), escaped(value));
      out += "</table></div>\n";
    }
    out += "</div>\n";
  }
  return out + "</main></body></html>\n";
}

} // namespace bigm::report
