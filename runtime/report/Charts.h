// One chart as inline SVG. Private to this folder.
#pragma once
#include "Report.h"

namespace bigm::report {

/// Text safe inside HTML elements and attributes.
std::string escaped(const std::string &text);
/// The chart with its legend.
/// `number` makes its ids unique on the page.
std::string renderChart(const Chart &chart, int number);
/// "0.25", "1,200", "3e-05": as short as it tells.
std::string numberText(double value);

} // namespace bigm::report
