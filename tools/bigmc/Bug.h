// What a user sees of a mistake of ours: one line that says so, a reproducer on disk, exit code 70.
#pragma once
#include <string>

namespace bigm::tool {

/// Remembers the command line and catches crashes (segmentation fault, abort, illegal instruction) from here on.
void catchBugs(int argc, char **argv);
/// Adds a file to what a reproducer holds: a source that was read, IR before the pass that failed.
void addToReproducer(const std::string &name, const std::string &text);
/// Writes the reproducer, prints where it is, gives exit code 70.
int bug(const std::string &what);

} // namespace bigm::tool
