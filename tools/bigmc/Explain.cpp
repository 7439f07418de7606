#include "Explain.h"
#include <algorithm>
#include <fmt/format.h>
#include <fstream>
#include <map>

namespace bigm::tool {
namespace {
using mlir::bigm::cpu::FunctionReport;
using mlir::bigm::cpu::KernelReport;
using mlir::bigm::cpu::SourceLine;

/// Seconds that the machine needs at least: arithmetic or memory, whichever takes longer.
double limitOf(const KernelReport &kernel, const Peak &peak) {
  return std::max(kernel.flops / (peak.gflops * 1e9), kernel.bytes / (peak.gigabytes * 1e9));
}
double timeOf(const FunctionReport &report, const Times &times, const Peak &peak, size_t i) {
  return times.empty() ? limitOf(report.kernels[i], peak) : times[i];
}

struct LineCost {
  double seconds = 0;
  std::vector<size_t> kernels;
};
/// What each line costs: a kernel's time goes to its lines by their share of its operations.
std::vector<std::pair<SourceLine, LineCost>> linesOf(const FunctionReport &report, const Times &times, const Peak &peak) {
  std::vector<std::pair<SourceLine, LineCost>> lines;
  for (size_t i = 0; i < report.kernels.size(); ++i)
    for (const auto &[source, share] : report.kernels[i].sources) {
      auto at = std::find_if(lines.begin(), lines.end(), [&, &source = source](auto &line) { return line.first == source; });
      if (at == lines.end())
        at = lines.insert(at, {source, {}});
      at->second.seconds += share * timeOf(report, times, peak, i);
      at->second.kernels.push_back(i);
    }
  std::stable_sort(lines.begin(), lines.end(), [](auto &a, auto &b) { return a.second.seconds > b.second.seconds; });
  return lines;
}

/// The text of a line of the program, without what stands before and behind it.
std::string textOf(const Checked &checked, const std::string &place) {
  size_t colon = place.rfind(':');
  if (colon == std::string::npos)
    return "";
  size_t wanted = std::strtoul(place.c_str() + colon + 1, nullptr, 10);
  for (uint32_t file = 0; file < checked.sources.size(); ++file) {
    if (checked.sources.name(file) != place.substr(0, colon))
      continue;
    std::string_view text = checked.sources.text(file);
    for (size_t line = 1; line < wanted && !text.empty(); ++line)
      text.remove_prefix(std::min(text.size(), text.find('\n') == text.npos ? text.size() : text.find('\n') + 1));
    text = text.substr(0, text.find('\n'));
    size_t begin = text.find_first_not_of(" \t");
    return begin == text.npos ? "" : std::string(text.substr(begin));
  }
  return "";
}

std::string name(const SourceLine &line) {
  std::string file = line.place.substr(line.place.rfind('/') + 1);
  return line.scope.empty() ? file : file + " in " + line.scope;
}
std::string apartFrom(const SourceLine &line, const std::string &reason) { return "apart from " + name(line) + ": " + reason; }
/// What a kernel does, the largest share first.
std::vector<std::string> fusedIn(const KernelReport &kernel) {
  auto sources = kernel.sources;
  std::stable_sort(sources.begin(), sources.end(), [](auto &a, auto &b) { return a.second > b.second; });
  std::vector<std::string> names;
  for (const auto &source : sources)
    names.push_back(name(source.first));
  return names;
}
std::string sizesOf(const FunctionReport &report) {
  std::string text;
  for (const auto &[symbol, size] : report.sizes)
    text += fmt::format("{}{} = {}", text.empty() ? " at " : ", ", symbol, size);
  return text;
}
/// How a call runs in slices of its batch; empty where it does not.
std::string slicesOf(const FunctionReport &report, bool timed) {
  if (!report.slice)
    return "";
  const std::string &batch = report.sizes[report.slice->symbol].first;
  return fmt::format("a call runs for {} of `{}` at a time, each thread in an arena of its own{}\n", report.slice->elements, batch,
                     timed ? fmt::format("; the times are of kernels that run for all of `{}`", batch) : "");
}
double ratio(const FunctionReport &report) {
  return report.liveBytes ? double(report.arenaBytes) / double(report.liveBytes) : 1;
}
std::string escaped(const std::string &text) {
  std::string out;
  for (char c : text)
    out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}
} // namespace

std::string explain(const FunctionReport &report, const Times &times, const Peak &peak, const Checked &checked) {
  double seconds = 0, flops = 0, bytes = 0;
  for (size_t i = 0; i < report.kernels.size(); ++i) {
    seconds += timeOf(report, times, peak, i);
    flops += report.kernels[i].flops, bytes += report.kernels[i].bytes;
  }
  std::string out = fmt::format("{}{}: {} kernels, {:.3f} Gflop, {:.2f} MB, {} {:.4f} ms on {} threads\n", report.name,
                                sizesOf(report), report.kernels.size(), flops * 1e-9, bytes * 1e-6,
                                times.empty() ? "at least" : "measured", seconds * 1e3, peak.threads);
  out += fmt::format("the machine: {:.0f} Gflop/s, {:.1f} GB/s; memory: arena {:.3f} MB, {:.3f} MB alive at once, ratio {:.2f}\n\n",
                     peak.gflops, peak.gigabytes, double(report.arenaBytes) * 1e-6, double(report.liveBytes) * 1e-6,
                     ratio(report));
  out.insert(out.size() - 1, slicesOf(report, !times.empty())); // before the empty line
  out += fmt::format("{:>4}  {:<11} {:>10} {:>9} {:>10} {:>6}  {}\n", "#", "kernel", "Mflop", "MB",
                     times.empty() ? "least ms" : "ms", "limit", "fuses");
  for (size_t i = 0; i < report.kernels.size(); ++i) {
    const KernelReport &kernel = report.kernels[i];
    double time = timeOf(report, times, peak, i);
    std::string share = times.empty() || time <= 0 ? "" : fmt::format("{:.0f}%", 100 * limitOf(kernel, peak) / time);
    auto fused = fusedIn(kernel);
    std::string indent(59, ' ');
    out += fmt::format("{:>4}  {:<11} {:>10.3f} {:>9.3f} {:>10.4f} {:>6}  {}\n", i, kernel.kind, kernel.flops * 1e-6,
                       kernel.bytes * 1e-6, time * 1e3, share, fused.empty() ? "" : fused[0]);
    for (size_t s = 1; s < fused.size(); ++s)
      out += indent + fused[s] + "\n";
    for (const auto &[source, reason] : kernel.apart)
      out += indent + apartFrom(source, reason) + "\n";
  }
  if (!times.empty())
    out += "limit: the time that arithmetic or reading memory needs at least, of the time taken; above 100% data were in a cache\n";
  out += fmt::format("\n{:>6} {:>10}  {}\n", "share", "ms", "line of the program");
  for (const auto &[line, cost] : linesOf(report, times, peak))
    out += fmt::format("{:>5.1f}% {:>10.4f}  {}  | {}\n", seconds > 0 ? 100 * cost.seconds / seconds : 0,
                       cost.seconds * 1e3, name(line), textOf(checked, line.place));
  return out + "\n";
}

std::string fusionComments(const FunctionReport &report) {
  std::string out = fmt::format("//\n// {}{}: {} kernels\n", report.name, sizesOf(report), report.kernels.size());
  if (report.slice)
    out += "// " + slicesOf(report, false);
  for (size_t i = 0; i < report.kernels.size(); ++i) {
    const KernelReport &kernel = report.kernels[i];
    out += fmt::format("// {:>4}  {:<11} {}  {}\n", i, kernel.kind, kernel.symbol, fmt::join(fusedIn(kernel), ", "));
    for (const auto &[source, reason] : kernel.apart)
      out += "//       " + apartFrom(source, reason) + "\n";
  }
  return out;
}

nlohmann::ordered_json explainJson(const FunctionReport &report, const Times &times, const Peak &peak,
                                   const Checked &checked) {
  using json = nlohmann::ordered_json;
  auto place = [](const SourceLine &line) { return json{{"line", line.place}, {"scope", line.scope}}; };
  json sizes = json::object(), kernels = json::array(), lines = json::array(), buffers = json::array();
  for (const auto &[symbol, size] : report.sizes)
    sizes[symbol] = size;
  for (size_t i = 0; i < report.kernels.size(); ++i) {
    const KernelReport &kernel = report.kernels[i];
    json fuses = json::array(), apart = json::array();
    for (const auto &[source, share] : kernel.sources) {
      fuses.push_back(place(source));
      fuses.back()["share"] = share;
    }
    for (const auto &[source, reason] : kernel.apart) {
      apart.push_back(place(source));
      apart.back()["reason"] = reason;
    }
    kernels.push_back({{"kind", kernel.kind}, {"symbol", kernel.symbol}, {"flops", kernel.flops}, {"bytes", kernel.bytes},
                       {"limit_ms", limitOf(kernel, peak) * 1e3}});
    if (!kernel.block.empty()) // its entry in a file of `bigmc tune`
      kernels.back()["contraction"] = kernel.block;
    if (!times.empty()) {
      kernels.back()["ms"] = times[i] * 1e3;
      kernels.back()["limit_share"] = times[i] > 0 ? limitOf(kernel, peak) / times[i] : 0;
    }
    kernels.back()["fuses"] = fuses;
    kernels.back()["apart"] = apart;
  }
  for (const auto &[line, cost] : linesOf(report, times, peak)) {
    lines.push_back(place(line));
    lines.back().update({{"text", textOf(checked, line.place)}, {"ms", cost.seconds * 1e3}, {"kernels", cost.kernels}});
  }
  for (const auto &buffer : report.buffers) {
    buffers.push_back(place(buffer.source));
    buffers.back().update({{"offset", buffer.offset}, {"bytes", buffer.bytes}, {"first", buffer.first}, {"last", buffer.last}});
  }
  return {{"function", report.name},
          {"sizes", sizes},
          {"measured", !times.empty()},
          {"machine", {{"cpu", peak.cpu}, {"threads", peak.threads}, {"fma_gflops", peak.gflops}, {"memory_gbs", peak.gigabytes}}},
          {"slices", report.slice ? json{{"of", report.sizes[report.slice->symbol].first}, {"each", report.slice->elements}} : json()},
          {"memory", {{"arena", report.arenaBytes}, {"live", report.liveBytes}, {"buffers", buffers}}},
          {"kernels", kernels},
          {"lines", lines}};
}

bool writeMemoryPlan(const std::vector<FunctionReport> &reports, const std::string &path) {
  std::string out = "<!doctype html><meta charset=\"utf-8\"><title>memory plan</title>\n"
                    "<style>body{font:14px sans-serif;margin:2em}svg{border:1px solid #999}rect:hover{opacity:.6}</style>\n";
  for (const FunctionReport &report : reports) {
    if (report.buffers.empty())
      continue;
    const double width = 1000, height = 420, steps = double(report.kernels.size()), total = double(std::max<int64_t>(report.arenaBytes, 1));
    out += fmt::format("<h2>{}{}</h2><p>Arena {} bytes, {} alive at once, ratio {:.2f}. Left to right: kernels 0 to {}; "
                       "bottom to top: offsets.</p>\n<svg width=\"{}\" height=\"{}\">\n",
                       escaped(report.name), escaped(sizesOf(report)), report.arenaBytes, report.liveBytes, ratio(report),
                       report.kernels.size() - 1, width, height);
    for (size_t i = 0; i < report.buffers.size(); ++i) {
      const auto &b = report.buffers[i];
      double x = b.first / steps * width, w = (b.last + 1 - b.first) / steps * width,
             h = double(b.bytes) / total * height, y = height - double(b.offset) / total * height - h;
      std::string label = escaped(name(b.source));
      out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"hsl({},60%,70%)\" "
                         "stroke=\"#444\" stroke-width=\".5\"><title>{}: {} bytes at {}, kernels {} to {}</title></rect>\n",
                         x, y, w, h, i * 137 % 360, label, b.bytes, b.offset, b.first, b.last);
      if (h > 12 && w > 60)
        out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"10\">{}</text>\n", x + 2, y + 11,
                           escaped(name(b.source).substr(0, size_t(w / 6))));
    }
    out += "</svg>\n";
  }
  std::ofstream file(path);
  file << out;
  return bool(file.flush());
}

} // namespace bigm::tool
