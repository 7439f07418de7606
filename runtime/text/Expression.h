// Regular expressions in Oniguruma's syntax, written in PCRE2's.
//
// The two differ in what `\w`, `\s`, `\b`, `\h`, `\u` and `[:alpha:]` mean, in scripts, in brackets (which are sets there: they
// nest, are negated and intersected) and in lines. What has no counterpart is refused when the file is read.
#pragma once
#include <string>

namespace bigm::text {

/// The expression as PCRE2 reads it. Throws Error, without a place, for what cannot be said there.
std::string translated(const std::string &expression);

} // namespace bigm::text
