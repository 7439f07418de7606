// Layout of text in a width: a document says where lines may break, the printer decides which do.
//
// The algebra of Wadler ("A prettier printer", 2003) with the additions that formatters of today share: fill, alignment,
// and suffixes that wait for the end of the line (comments).
#pragma once
#include <memory>
#include <string>
#include <vector>

namespace bigm {

struct DocNode;
using Doc = std::shared_ptr<const DocNode>;

namespace doc {
Doc text(std::string);
Doc concat(std::vector<Doc>);
Doc line(std::string flat = " ");          // a newline when its group is broken, else `flat`
Doc hard(bool blank = false);              // always a newline; `blank`: with an empty line before the next text
Doc ifBroken(std::string broken, std::string flat);
Doc group(Doc);                            // flat when it fits and has no hard line
Doc indent(Doc, int by = 2);
Doc align(Doc, int by);                    // lines inside start `by` columns right of where this begins
Doc fill(std::vector<Doc> contentsAndSeparators); // breaks only the separators that must
Doc suffix(std::string);                   // printed at the end of the line; breaks all groups around it

/// Columns when printed flat, or -1 when it cannot be or takes more than `most`.
int flatWidth(const Doc &, int most);
std::string print(const Doc &, int width);
} // namespace doc

/// Columns that a text takes on a screen.
int displayWidth(const std::string &);

} // namespace bigm
