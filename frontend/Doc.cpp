// Every node knows whether it holds a hard break, so that a group need not look inside to know that it cannot be flat.
// Fitting looks ahead at most one line's width, so printing is linear.
#include "Doc.h"
#include <algorithm>
#include <utf8proc.h>

namespace bigm {

struct DocNode {
  enum class Kind { Text, Concat, Line, Hard, IfBroken, Group, Indent, Align, Fill, Suffix } kind;
  std::string text, other;
  std::vector<Doc> children;
  int by = 0;
  int width = 0; // of `text`
  bool blank = false;
  bool breaks = false; // holds a hard break
};

namespace {
using Kind = DocNode::Kind;

Doc make(Kind kind, std::vector<Doc> children = {}, std::string text = {}, int by = 0) {
  auto node = std::make_shared<DocNode>();
  node->kind = kind;
  node->children = std::move(children);
  node->width = displayWidth(text);
  node->text = std::move(text);
  node->by = by;
  node->breaks = kind == Kind::Hard || kind == Kind::Suffix ||
                 std::any_of(node->children.begin(), node->children.end(), [](const Doc &d) { return d->breaks; });
  return node;
}

class Printer {
public:
  explicit Printer(int width) : width(width) {}

  std::string run(const Doc &document) {
    stack.push_back({0, true, document.get(), 0});
    while (!stack.empty()) {
      Command c = stack.back();
      stack.pop_back();
      step(c);
    }
    flushSuffix();
    return std::move(out);
  }

private:
  struct Command {
    int indent;
    bool broken;
    const DocNode *node;
    size_t from; // the child at which a Fill goes on
  };
  int width;
  int column = 0;
  std::string out, pendingSuffix;
  bool atLineStart = true;
  int pendingIndent = 0;
  std::vector<Command> stack;

  void put(const std::string &text, int columns) {
    if (text.empty())
      return;
    if (atLineStart) {
      out.append(static_cast<size_t>(pendingIndent), ' ');
      column = pendingIndent;
      atLineStart = false;
    }
    out += text;
    column += columns;
  }

  void flushSuffix() {
    if (pendingSuffix.empty())
      return;
    // Spaces that a separator left behind do not stand before a comment.
    while (!out.empty() && out.back() == ' ')
      out.pop_back();
    bool bare = out.empty() || out.back() == '\n';
    if (bare)
      out.append(static_cast<size_t>(pendingIndent), ' ');
    out += (bare ? "" : "  ") + pendingSuffix;
    pendingSuffix.clear();
  }

  void newline(int indent, bool blank) {
    flushSuffix();
    while (!out.empty() && out.back() == ' ')
      out.pop_back();
    out += blank ? "\n\n" : "\n";
    atLineStart = true;
    pendingIndent = indent;
    column = indent;
  }

  void step(const Command &c) {
    const DocNode &node = *c.node;
    switch (node.kind) {
    case Kind::Text:
      return put(node.text, node.width);
    case Kind::Concat:
      for (size_t i = node.children.size(); i-- > 0;)
        stack.push_back({c.indent, c.broken, node.children[i].get(), 0});
      return;
    case Kind::Line:
      return c.broken ? newline(c.indent, false) : put(node.text, node.width);
    case Kind::Hard:
      return newline(c.indent, node.blank);
    case Kind::IfBroken:
      return c.broken ? put(node.text, node.width) : put(node.other, displayWidth(node.other));
    case Kind::Group: {
      Command inner{c.indent, false, node.children[0].get(), 0};
      inner.broken = node.breaks || !fits(inner);
      stack.push_back(inner);
      return;
    }
    case Kind::Indent:
      stack.push_back({c.indent + node.by, c.broken, node.children[0].get(), 0});
      return;
    case Kind::Align:
      stack.push_back({(atLineStart ? pendingIndent : column) + node.by, c.broken, node.children[0].get(), 0});
      return;
    case Kind::Fill:
      return fillStep(c);
    case Kind::Suffix:
      pendingSuffix += (pendingSuffix.empty() ? "" : " ") + node.text;
      return;
    }
  }

  /// Prints one content, then the separator flat if the next content fits behind it.
  void fillStep(const Command &c) {
    const auto &parts = c.node->children;
    if (!c.broken) {
      for (size_t i = parts.size(); i-- > 0;)
        stack.push_back({c.indent, false, parts[i].get(), 0});
      return;
    }
    if (parts.empty())
      return;
    Command content{c.indent, true, parts[c.from].get(), 0};
    // The rest goes on the stack first: what must fit behind a content ends at the next separator.
    if (c.from == 0) {
      if (parts.size() > 1)
        stack.push_back({c.indent, c.broken, c.node, 1});
      content.broken = content.node->breaks || !fits({c.indent, false, content.node, 0});
      stack.push_back(content);
      return;
    }
    // `from` is a separator, and a content follows.
    const DocNode *separator = parts[c.from].get(), *next = parts[c.from + 1].get();
    if (c.from + 2 < parts.size())
      stack.push_back({c.indent, c.broken, c.node, c.from + 2});
    bool nextFits = !separator->breaks && fits({c.indent, false, next, 0}, separator);
    bool flat = !next->breaks && (nextFits || fits({c.indent, false, next, 0}, nullptr, c.indent));
    stack.push_back({c.indent, !flat, next, 0});
    stack.push_back({c.indent, !nextFits, separator, 0});
  }

  /// Whether `first`, printed flat (after `before`, from `start` if given), stays within the line, together with what
  /// follows it up to the next possible break.
  bool fits(const Command &first, const DocNode *before = nullptr, int start = -1) const {
    if (first.node->breaks)
      return false;
    int left = width - (start >= 0 ? start : atLineStart ? pendingIndent : column);
    std::vector<Command> look{first};
    if (before)
      look.push_back({first.indent, false, before, 0});
    size_t rest = stack.size();
    while (left >= 0) {
      if (look.empty()) {
        if (rest == 0)
          return true;
        look.push_back(stack[--rest]);
      }
      Command c = look.back();
      look.pop_back();
      const DocNode &node = *c.node;
      switch (node.kind) {
      case Kind::Text:
        left -= node.width;
        break;
      case Kind::Line:
        if (c.broken)
          return true;
        left -= node.width;
        break;
      case Kind::Hard:
      case Kind::Suffix:
        return true;
      case Kind::IfBroken:
        left -= c.broken ? node.width : displayWidth(node.other);
        break;
      case Kind::Group:
        // A group of the rest may break by itself: its first line ends the search.
        look.push_back({c.indent, c.broken, node.children[0].get(), 0});
        break;
      case Kind::Fill:
        // The rest of a fill may break at its next separator.
        if (c.broken && c.from % 2 == 1)
          return true;
        [[fallthrough]];
      case Kind::Concat:
      case Kind::Indent:
      case Kind::Align:
        for (size_t i = node.children.size(); i-- > c.from;)
          look.push_back({c.indent, c.broken, node.children[i].get(), 0});
        break;
      }
    }
    return false;
  }
};

} // namespace

namespace doc {
Doc text(std::string t) { return make(Kind::Text, {}, std::move(t)); }
Doc concat(std::vector<Doc> parts) { return make(Kind::Concat, std::move(parts)); }
Doc line(std::string flat) { return make(Kind::Line, {}, std::move(flat)); }
Doc hard(bool blank) {
  auto node = std::make_shared<DocNode>(*make(Kind::Hard));
  node->blank = blank;
  return node;
}
Doc ifBroken(std::string broken, std::string flat) {
  auto node = std::make_shared<DocNode>(*make(Kind::IfBroken, {}, std::move(broken)));
  node->other = std::move(flat);
  return node;
}
Doc group(Doc d) { return make(Kind::Group, {std::move(d)}); }
Doc indent(Doc d, int by) { return make(Kind::Indent, {std::move(d)}, {}, by); }
Doc align(Doc d, int by) { return make(Kind::Align, {std::move(d)}, {}, by); }
Doc fill(std::vector<Doc> parts) { return make(Kind::Fill, std::move(parts)); }
Doc suffix(std::string t) { return make(Kind::Suffix, {}, std::move(t)); }

int flatWidth(const Doc &document, int most) {
  if (document->breaks)
    return -1;
  int total = 0;
  std::vector<const DocNode *> stack{document.get()};
  while (!stack.empty()) {
    const DocNode &node = *stack.back();
    stack.pop_back();
    total += node.kind == Kind::IfBroken ? displayWidth(node.other) : node.width;
    if (total > most)
      return -1;
    for (size_t i = node.children.size(); i-- > 0;)
      stack.push_back(node.children[i].get());
  }
  return total;
}

std::string print(const Doc &document, int width) { return Printer(width).run(document); }
} // namespace doc

int displayWidth(const std::string &s) {
  int width = 0;
  for (size_t i = 0; i < s.size();) {
    utf8proc_int32_t point = -1;
    auto n = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t *>(s.data() + i),
                              static_cast<utf8proc_ssize_t>(s.size() - i), &point);
    width += n > 0 ? std::max(0, utf8proc_charwidth(point)) : 1;
    i += n > 0 ? static_cast<size_t>(n) : 1;
  }
  return width;
}

} // namespace bigm
