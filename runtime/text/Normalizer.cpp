#include "Normalizer.h"

namespace bigm::text {
namespace {

/// Keeps the characters for which `keep` holds; what is dropped belongs to the character before it.
template <class Keep> void filter(Text &text, Keep keep) {
  std::vector<Change> out;
  out.reserve(text.bytes.size());
  size_t dropped = 0;
  for (size_t at = 0; at < text.bytes.size();) {
    char32_t c = next(text.bytes, at);
    if (keep(c))
      out.push_back({c, 0});
    else if (out.empty())
      ++dropped;
    else
      --out.back().change;
  }
  if (dropped > 0 || out.size() != countChars(text.bytes))
    text.transform(out, dropped);
}

/// Replaces characters one by one.
template <class By> void map(Text &text, By by) {
  Text out = text.blank();
  out.bytes.reserve(text.bytes.size());
  for (size_t at = 0; at < text.bytes.size();) {
    Span origin = text.origin(at);
    out.add(by(next(text.bytes, at)), origin);
  }
  text = std::move(out);
}

void normalForm(Text &text, Form form) {
  if (!isAscii(text.bytes))
    text.transform(normalForm(std::string_view(text.bytes), form));
}

void lowercase(Text &text) {
  if (isAscii(text.bytes)) {
    for (char &c : text.bytes)
      c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
    return;
  }
  std::vector<Change> out;
  out.reserve(text.bytes.size());
  for (size_t at = 0; at < text.bytes.size();) {
    char32_t c = next(text.bytes, at);
    if (c == 0x130) {
      out.push_back({'i', 0});
      out.push_back({0x307, 1});
    } else {
      out.push_back({lower(c), 0});
    }
  }
  text.transform(out);
}

void spaceChinese(Text &text) {
  if (isAscii(text.bytes))
    return;
  std::vector<Change> out;
  out.reserve(text.bytes.size());
  for (size_t at = 0; at < text.bytes.size();) {
    char32_t c = next(text.bytes, at);
    if (is(c, kIsChinese)) {
      out.push_back({' ', 0});
      out.push_back({c, 1});
      out.push_back({' ', 1});
    } else {
      out.push_back({c, 0});
    }
  }
  text.transform(out);
}

void strip(Text &text, bool left, bool right) {
  size_t begin = 0, end = text.bytes.size();
  while (left && begin < end) {
    size_t at = begin;
    if (!is(next(text.bytes, at), kIsSpace))
      break;
    begin = at;
  }
  while (right && end > begin) {
    size_t at = end - 1;
    while ((uint8_t(text.bytes[at]) & 0xC0) == 0x80)
      --at;
    size_t from = at;
    if (!is(next(text.bytes, at), kIsSpace))
      break;
    end = from;
  }
  if (begin == 0 && end == text.bytes.size())
    return;
  Text out = text.blank();
  out.copy(text, begin, end);
  text = std::move(out);
}

bool nmtDrops(char32_t c) {
  return (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
}
bool nmtSpaces(char32_t c) {
  return c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
         c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
}

} // namespace

char32_t byteChar(uint8_t b) {
  if ((b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE)
    return b;
  // The others follow from U+0100 in their order: 0 to 32, 127 to 160, 173.
  return 0x100u + (b <= 32 ? b : b <= 160 ? b - 127u + 33 : 67u);
}

int charByte(char32_t c) {
  if (c < 0x100)
    return byteChar(uint8_t(c)) == c ? int(c) : -1;
  if (c > 0x100 + 67)
    return -1;
  char32_t k = c - 0x100;
  return int(k <= 32 ? k : k <= 66 ? k - 33 + 127 : 173);
}

void addByteChars(const Text &text, size_t begin, size_t end, Text &out) {
  for (size_t at = begin; at < end; ++at)
    // All bytes of a character belong to it.
    out.add(byteChar(uint8_t(text.bytes[at])), text.origin(at));
}

void addReplaced(const Text &text, size_t begin, size_t end, const Pattern &pattern, const std::string &content, Text &out) {
  thread_local std::vector<Match> parts;
  parts.clear();
  pattern.parts(text.bytes, begin, end, parts);
  for (const Match &m : parts)
    if (m.matched)
      out.add(content, text.inserted(m.end));
    else
      out.copy(text, m.begin, m.end);
}

Normalizer Normalizer::read(const Settings &settings) {
  Normalizer n;
  if (!settings.isNull())
    n.add(settings, 0);
  return n;
}

void Normalizer::add(const Settings &s, int depth) {
  const std::string &type = s.type();
  Step step{};
  if (type == "Sequence") {
    if (depth > 16)
      s.fail("sequences in sequences, more than 16 deep");
    Settings list = s["normalizers"];
    for (size_t i = 0; i < list.count(); ++i)
      add(list.at(i), depth + 1);
    return;
  }
  if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
    step.kind = Kind::Form;
    step.form = type == "NFC" ? Form::NFC : type == "NFD" ? Form::NFD : type == "NFKC" ? Form::NFKC : Form::NFKD;
  } else if (type == "Lowercase") {
    step.kind = Kind::Lowercase;
  } else if (type == "StripAccents") {
    step.kind = Kind::StripAccents;
  } else if (type == "Nmt") {
    step.kind = Kind::Nmt;
  } else if (type == "ByteLevel") {
    step.kind = Kind::ByteLevel;
  } else if (type == "Strip") {
    step.kind = Kind::Strip;
    step.left = s.flag("strip_left", true);
    step.right = s.flag("strip_right", true);
  } else if (type == "Prepend") {
    step.kind = Kind::Prepend;
    step.content = s["prepend"].text();
  } else if (type == "Replace") {
    step.kind = Kind::Replace;
    step.content = s["content"].text();
    step.pattern = std::make_shared<Pattern>(readPattern(s["pattern"]));
  } else if (type == "BertNormalizer") {
    step.kind = Kind::Bert;
    step.clean = s.flag("clean_text", true);
    step.chinese = s.flag("handle_chinese_chars", true);
    step.lower = s.flag("lowercase", true);
    step.accents = s.flag("strip_accents", step.lower);
  } else if (type == "Precompiled") {
    step.kind = Kind::Precompiled;
    Settings map = s["precompiled_charsmap"];
    if (map.isNull() || map.text().empty())
      return;
    try {
      step.map = std::make_shared<CharMap>(CharMap::read(map.text()));
    } catch (const Error &e) {
      map.fail(e.what());
    }
  } else {
    s["type"].fail("there is no normalizer `" + type + "`");
  }
  steps.push_back(std::move(step));
}

void Normalizer::apply(Text &text) const {
  for (const Step &step : steps) {
    if (text.bytes.empty())
      return;
    switch (step.kind) {
    case Kind::Form:
      normalForm(text, step.form);
      break;
    case Kind::Lowercase:
      lowercase(text);
      break;
    case Kind::StripAccents:
      filter(text, [](char32_t c) { return !is(c, kIsMark); });
      break;
    case Kind::Strip:
      strip(text, step.left, step.right);
      break;
    case Kind::Replace: {
      Text out = text.blank();
      addReplaced(text, 0, text.bytes.size(), *step.pattern, step.content, out);
      text = std::move(out);
      break;
    }
    case Kind::Prepend: {
      Text out = text.blank();
      out.add(step.content, text.origin(0));
      out.copy(text, 0, text.bytes.size());
      text = std::move(out);
      break;
    }
    case Kind::Bert:
      if (step.clean) {
        filter(text, [](char32_t c) { return c != 0 && !is(c, kIsControl); });
        map(text, [](char32_t c) { return is(c, kIsSpace) ? U' ' : c; });
      }
      if (step.chinese)
        spaceChinese(text);
      if (step.accents) {
        normalForm(text, Form::NFD);
        if (!isAscii(text.bytes))
          filter(text, [](char32_t c) { return !is(c, kIsAccent); });
      }
      if (step.lower)
        lowercase(text);
      break;
    case Kind::Precompiled:
      step.map->apply(text);
      break;
    case Kind::Nmt:
      filter(text, [](char32_t c) { return !nmtDrops(c); });
      map(text, [](char32_t c) { return nmtSpaces(c) ? U' ' : c; });
      break;
    case Kind::ByteLevel: {
      Text out = text.blank();
      addByteChars(text, 0, text.bytes.size(), out);
      text = std::move(out);
      break;
    }
    }
  }
}

} // namespace bigm::text
