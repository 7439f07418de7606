#include "PreTokenizer.h"
#include "Normalizer.h"

namespace bigm::text {
namespace {

/// Each character for which `splits` holds as a match of its own.
template <class Splits> void partsBy(std::string_view text, Piece p, std::vector<Match> &out, Splits splits) {
  size_t last = p.begin;
  for (size_t at = p.begin; at < p.end;) {
    size_t begin = at;
    if (!splits(next(text, at)))
      continue;
    if (begin > last)
      out.push_back({uint32_t(last), uint32_t(begin), false});
    out.push_back({uint32_t(begin), uint32_t(at), true});
    last = at;
  }
  if (last < p.end)
    out.push_back({uint32_t(last), p.end, false});
}

/// GPT-2's words: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
size_t wordAt(std::string_view text, size_t at, size_t end) {
  auto classAt = [&](size_t i) { // of the character at i; `i` may be the end
    return i < end ? classOf(uint8_t(text[i]) < 0x80 ? char32_t(text[i]) : next(text, i)) : uint16_t(0);
  };
  constexpr uint16_t kinds = kIsLetter | kIsNumber | kIsSpace;
  if (text[at] == '\'' && at + 1 < end) {
    char a = text[at + 1], b = at + 2 < end ? text[at + 2] : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
      return at + 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l'))
      return at + 3;
  }
  size_t first = at + (text[at] == ' ');
  if (first < end) {
    uint16_t kind = classAt(first) & kinds;
    if (!(kind & kIsSpace)) {
      size_t to = first;
      while (to < end && (classAt(to) & kinds) == kind)
        to += lengthAt(text[to]);
      return to;
    }
  }
  // Spaces: all of them at the end of the text, else all but the last, but at least one.
  size_t to = at, before = at;
  while (to < end && classAt(to) & kIsSpace) {
    before = to;
    to += lengthAt(text[to]);
  }
  return to == end || before == at ? to : before;
}

} // namespace

PreTokenizer PreTokenizer::read(const Settings &settings) {
  PreTokenizer p;
  if (!settings.isNull())
    p.add(settings, 0);
  return p;
}

PreTokenizer::Behavior PreTokenizer::readBehavior(const Settings &s) {
  const std::string &word = s.text();
  if (word == "Removed")
    return Behavior::Removed;
  if (word == "Isolated")
    return Behavior::Isolated;
  if (word == "MergedWithPrevious")
    return Behavior::MergedWithPrevious;
  if (word == "MergedWithNext")
    return Behavior::MergedWithNext;
  if (word == "Contiguous")
    return Behavior::Contiguous;
  s.fail("expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous, and it is " + s.seen());
}

void PreTokenizer::add(const Settings &s, int depth) {
  const std::string &type = s.type();
  Step step{};
  if (type == "Sequence") {
    if (depth > 16)
      s.fail("sequences in sequences, more than 16 deep");
    Settings list = s["pretokenizers"];
    for (size_t i = 0; i < list.count(); ++i)
      add(list.at(i), depth + 1);
    return;
  }
  if (type == "BertPreTokenizer") {
    step.kind = Kind::Bert;
  } else if (type == "ByteLevel") {
    step.kind = Kind::ByteLevel;
    step.prefixSpace = s.flag("add_prefix_space", true);
    step.words = s.flag("use_regex", true);
  } else if (type == "WhitespaceSplit") {
    step.kind = Kind::Class;
    step.classes = kIsSpace;
  } else if (type == "Punctuation") {
    step.kind = Kind::Class;
    step.classes = kIsPunctuation;
    step.behavior = s.has("behavior") ? readBehavior(s["behavior"]) : Behavior::Isolated;
  } else if (type == "Digits") {
    step.kind = Kind::Class;
    step.classes = kIsNumeric;
    step.behavior = s.flag("individual_digits", false) ? Behavior::Isolated : Behavior::Contiguous;
  } else if (type == "CharDelimiterSplit") {
    step.kind = Kind::Delimiter;
    step.mark = s["delimiter"].character();
  } else if (type == "Whitespace") {
    step.kind = Kind::Whitespace;
  } else if (type == "Metaspace") {
    step.kind = Kind::Metaspace;
    step.mark = s["replacement"].character();
    step.split = s.flag("split", true);
    if (s.has("prepend_scheme")) {
      const std::string &word = s["prepend_scheme"].text();
      if (word != "always" && word != "first" && word != "never")
        s["prepend_scheme"].fail("expected always, first or never, and it is " + s["prepend_scheme"].seen());
      step.scheme = word == "always" ? Scheme::Always : word == "first" ? Scheme::First : Scheme::Never;
    }
    if (!s.flag("add_prefix_space", true)) {
      if (s.has("prepend_scheme") && step.scheme != Scheme::Never)
        s.fail("add_prefix_space is false, and prepend_scheme says otherwise");
      step.scheme = Scheme::Never;
    }
  } else if (type == "Split") {
    step.kind = Kind::Split;
    step.pattern = std::make_shared<Pattern>(readPattern(s["pattern"]));
    step.behavior = readBehavior(s["behavior"]);
    step.invert = s.flag("invert", false);
  } else if (type == "FixedLength") {
    step.kind = Kind::FixedLength;
    step.length = s.has("length") ? s["length"].whole(1 << 30) : 5;
    if (step.length == 0)
      s["length"].fail("expected at least 1");
  } else if (type == "UnicodeScripts") {
    step.kind = Kind::Scripts;
  } else {
    s["type"].fail("there is no pre-tokenizer `" + type + "`; known are BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, "
                   "FixedLength, Metaspace, Punctuation, Sequence, Split, UnicodeScripts, Whitespace and WhitespaceSplit");
  }
  steps.push_back(std::move(step));
}

bool PreTokenizer::needsOrigin() const {
  for (const Step &s : steps)
    if (s.kind == Kind::Metaspace && s.scheme == Scheme::First)
      return true;
  return false;
}

/// Joins and drops parts as the behaviour says, and appends what is left. Empty parts take part in joining, as there, and are
/// dropped in the end.
static void settle(std::vector<Match> &parts, int behavior, std::vector<Piece> &out) {
  size_t first = out.size();
  auto put = [&](const Match &m) { out.push_back({m.begin, m.end, -1}); };
  bool previous = false;
  switch (behavior) {
  case 0: // Removed
    for (const Match &m : parts)
      if (!m.matched)
        put(m);
    break;
  case 1: // Isolated
    for (const Match &m : parts)
      put(m);
    break;
  case 2: // MergedWithPrevious
  case 4: // Contiguous
    for (const Match &m : parts) {
      bool joins = behavior == 2 ? m.matched && !previous : m.matched == previous;
      if (joins && out.size() > first)
        out.back().end = m.end;
      else
        put(m);
      previous = m.matched;
    }
    break;
  default: // MergedWithNext
    for (size_t i = parts.size(); i-- > 0;) {
      const Match &m = parts[i];
      if (m.matched && !previous && out.size() > first)
        out.back().begin = m.begin;
      else
        put(m);
      previous = m.matched;
    }
    std::reverse(out.begin() + ptrdiff_t(first), out.end());
  }
  out.erase(std::remove_if(out.begin() + ptrdiff_t(first), out.end(), [](const Piece &p) { return p.begin == p.end; }), out.end());
}

void PreTokenizer::one(const Step &step, Pieces &pieces) const {
  std::vector<Piece> list;
  list.reserve(pieces.list.size() * 2);
  thread_local std::vector<Match> parts;
  const std::string &bytes = pieces.text.bytes;
  auto cut = [&](Piece p, Behavior behavior, auto &&into) {
    parts.clear();
    into(p);
    settle(parts, int(behavior), list);
  };
  // Steps that change bytes write a new text.
  Text out = pieces.text.blank();
  if (step.kind == Kind::ByteLevel || step.kind == Kind::Metaspace)
    out.bytes.reserve(bytes.size() + bytes.size() / 2);

  for (Piece p : pieces.list) {
    if (p.id >= 0) {
      if (step.kind == Kind::ByteLevel || step.kind == Kind::Metaspace) {
        auto begin = uint32_t(out.bytes.size());
        out.copy(pieces.text, p.begin, p.end);
        p.begin = begin;
        p.end = uint32_t(out.bytes.size());
      }
      list.push_back(p);
      continue;
    }
    switch (step.kind) {
    case Kind::Class:
      cut(p, step.behavior, [&](Piece p) { partsBy(bytes, p, parts, [&](char32_t c) { return is(c, step.classes); }); });
      break;
    case Kind::Bert: {
      // Spaces part, and punctuation stands alone.
      size_t last = p.begin;
      for (size_t at = p.begin; at < p.end;) {
        size_t begin = at;
        uint16_t k = classOf(next(bytes, at));
        if (!(k & (kIsSpace | kIsPunctuation)))
          continue;
        if (begin > last)
          list.push_back({uint32_t(last), uint32_t(begin), -1});
        if (!(k & kIsSpace))
          list.push_back({uint32_t(begin), uint32_t(at), -1});
        last = at;
      }
      if (last < p.end)
        list.push_back({uint32_t(last), p.end, -1});
      break;
    }
    case Kind::Whitespace: {
      // \w+|[^\w\s]+
      for (size_t at = p.begin; at < p.end;) {
        size_t begin = at;
        auto kind = [&](size_t &i) {
          uint16_t k = classOf(next(bytes, i));
          return k & kIsWord ? 2 : k & kIsSpace ? 0 : 1;
        };
        int k = kind(at);
        for (size_t to = at; to < p.end && kind(to) == k; at = to) {
        }
        if (k != 0)
          list.push_back({uint32_t(begin), uint32_t(at), -1});
      }
      break;
    }
    case Kind::Delimiter: {
      size_t i = 0;
      char32_t mark = next(step.mark, i);
      cut(p, Behavior::Removed, [&](Piece p) { partsBy(bytes, p, parts, [&](char32_t c) { return c == mark; }); });
      break;
    }
    case Kind::Split:
      cut(p, step.behavior, [&](Piece p) {
        step.pattern->parts(bytes, p.begin, p.end, parts);
        if (step.invert)
          for (Match &m : parts)
            m.matched = !m.matched;
      });
      break;
    case Kind::FixedLength:
      for (size_t at = p.begin; at < p.end;) {
        size_t begin = at;
        for (int64_t i = 0; i < step.length && at < p.end; ++i)
          at += lengthAt(bytes[at]);
        list.push_back({uint32_t(begin), uint32_t(at), -1});
      }
      break;
    case Kind::Scripts: {
      // A piece ends where another script begins; what is of none, such as a space, goes with what is before it. As there,
      // none before the first script is left out.
      int last = 0;
      uint32_t begin = p.end;
      for (size_t at = p.begin; at < p.end;) {
        auto from = uint32_t(at);
        int script = scriptOf(next(bytes, at));
        if (script == 0 || script == last)
          continue;
        if (begin < from)
          list.push_back({begin, from, -1});
        begin = from;
        last = script;
      }
      if (begin < p.end)
        list.push_back({begin, p.end, -1});
      break;
    }
    case Kind::Metaspace: {
      size_t begin = out.bytes.size();
      bool marked = bytes.compare(p.begin, step.mark.size(), step.mark) == 0 && p.end - p.begin >= step.mark.size();
      bool first = marked || bytes[p.begin] == ' ';
      if (!first && (step.scheme == Scheme::Always || (step.scheme == Scheme::First && pieces.text.origin(p.begin).begin == 0)))
        out.add(step.mark, pieces.text.origin(p.begin));
      for (size_t at = p.begin; at < p.end; ++at)
        if (bytes[at] == ' ')
          out.add(step.mark, pieces.text.origin(at));
        else
          out.copy(pieces.text, at, at + 1);
      // The mark begins a piece.
      size_t from = begin;
      for (size_t at = begin; step.split && (at = out.bytes.find(step.mark, at)) != out.bytes.npos; at += step.mark.size())
        if (at > from) {
          list.push_back({uint32_t(from), uint32_t(at), -1});
          from = at;
        }
      list.push_back({uint32_t(from), uint32_t(out.bytes.size()), -1});
      break;
    }
    case Kind::ByteLevel: {
      auto give = [&](size_t begin, size_t end, bool space) {
        auto from = uint32_t(out.bytes.size());
        if (space)
          out.add(byteChar(' '), pieces.text.origin(p.begin));
        addByteChars(pieces.text, begin, end, out);
        list.push_back({from, uint32_t(out.bytes.size()), -1});
      };
      bool space = step.prefixSpace && bytes[p.begin] != ' ';
      if (!step.words) {
        give(p.begin, p.end, space);
        break;
      }
      size_t at = p.begin;
      if (space) {
        // The space that is put in front joins the first word, unless that begins with a space of another kind.
        std::string front = " " + bytes.substr(p.begin, p.end - p.begin);
        size_t first = wordAt(front, 0, front.size());
        give(p.begin, p.begin + first - 1, true);
        at = p.begin + first - 1;
      }
      while (at < p.end) {
        size_t to = wordAt(bytes, at, p.end);
        give(at, to, false);
        at = to;
      }
      break;
    }
    }
  }
  if (step.kind == Kind::ByteLevel || step.kind == Kind::Metaspace)
    pieces.text = std::move(out);
  pieces.list = std::move(list);
}

void PreTokenizer::apply(Pieces &pieces) const {
  for (const Step &step : steps)
    one(step, pieces);
}

} // namespace bigm::text
