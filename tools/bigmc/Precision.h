// Brings a checked program to the precision that ships.
#pragma once
#include "Compiler.h"
#include "runtime/driver/Driver.h"

namespace bigm::tool {

/// Brings the weights to the precision of the options, else to that of each of the program's `deploy`s, and says it: "int8". For
/// commands that run or ship what was trained. Where activations are kept in eight bits too, their ranges are found first: weights
/// and data are at `places`, and what is done is told on standard error. Nothing when that cannot be; the message is printed and
/// `exitCode` set.
std::optional<std::string> applyPrecision(Checked &, const CodeOptions &, const driver::CommonOptions &places, int &exitCode);

/// The same for commands that show code: only when the options ask for it, since nothing trains at a precision. Otherwise says
/// what ships in fewer bits. Ranges of activations are stand-ins: no code depends on them.
bool showPrecision(Checked &, const CodeOptions &);

} // namespace bigm::tool
