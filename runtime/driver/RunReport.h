// run.json and metrics.jsonl turned into report.html.
#pragma once
#include "Program.h"
#include "RunFolder.h"
#include "runtime/report/Report.h"

namespace bigm::driver {

/// Writes report.html from what the run folder holds; `heads` are of the split that `headsTitle` names.
void writeReport(const RunFolder &folder, const Program &program, std::vector<report::Head> heads,
                 const std::string &headsTitle);

} // namespace bigm::driver
