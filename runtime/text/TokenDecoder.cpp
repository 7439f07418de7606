#include "TokenDecoder.h"
#include "Normalizer.h"

namespace bigm::text {
namespace {

void replaceAll(std::string &in, std::string_view what, std::string_view by) {
  if (what.empty())
    return;
  std::string out;
  size_t last = 0;
  for (size_t at; (at = in.find(what, last)) != in.npos; last = at + what.size()) {
    out.append(in, last, at - last);
    out += by;
  }
  if (last == 0)
    return;
  out.append(in, last);
  in = std::move(out);
}

/// Spaces that English spelling has not: before a full stop, in "do n't".
void cleanUp(std::string &token) {
  static const std::pair<const char *, const char *> table[] = {
      {" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (auto &[what, by] : table)
    replaceAll(token, what, by);
}

/// The byte of "<0x0A>", or -1.
int byteOf(const std::string &token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>')
    return -1;
  int value = 0;
  for (char c : {token[3], token[4]}) {
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0)
      return -1;
    value = value * 16 + digit;
  }
  return value;
}

} // namespace

TokenDecoder TokenDecoder::read(const Settings &settings) {
  TokenDecoder d;
  d.none = settings.isNull();
  if (!d.none)
    d.add(settings, 0);
  return d;
}

void TokenDecoder::add(const Settings &s, int depth) {
  const std::string &type = s.type();
  Step step{};
  if (type == "Sequence") {
    if (depth > 16)
      s.fail("sequences in sequences, more than 16 deep");
    Settings list = s["decoders"];
    for (size_t i = 0; i < list.count(); ++i)
      add(list.at(i), depth + 1);
    return;
  }
  if (type == "BPEDecoder") {
    step.kind = Kind::Bpe;
    step.mark = s.has("suffix") ? s["suffix"].text() : "</w>";
  } else if (type == "ByteLevel") {
    step.kind = Kind::ByteLevel;
  } else if (type == "WordPiece") {
    step.kind = Kind::WordPiece;
    step.mark = s.has("prefix") ? s["prefix"].text() : "##";
    step.cleanup = s.flag("cleanup", true);
  } else if (type == "Metaspace") {
    step.kind = Kind::Metaspace;
    step.mark = s["replacement"].character();
    step.prepended = s.flag("add_prefix_space", true) && !(s.has("prepend_scheme") && s["prepend_scheme"].text() == "never");
  } else if (type == "CTC") {
    step.kind = Kind::Ctc;
    step.mark = s["pad_token"].text();
    step.content = s["word_delimiter_token"].text();
    step.cleanup = s.flag("cleanup", true);
  } else if (type == "Replace") {
    step.kind = Kind::Replace;
    step.content = s["content"].text();
    step.pattern = std::make_shared<Pattern>(readPattern(s["pattern"]));
  } else if (type == "Fuse") {
    step.kind = Kind::Fuse;
  } else if (type == "Strip") {
    step.kind = Kind::Strip;
    step.mark = s["content"].character();
    step.start = size_t(s["start"].whole(1 << 30));
    step.stop = size_t(s["stop"].whole(1 << 30));
  } else if (type == "ByteFallback") {
    step.kind = Kind::ByteFallback;
  } else {
    s["type"].fail("there is no decoder `" + type + "`");
  }
  steps.push_back(std::move(step));
}

void TokenDecoder::one(const Step &step, std::vector<std::string> &tokens) {
  switch (step.kind) {
  case Kind::Bpe:
    for (size_t i = 0; i < tokens.size(); ++i)
      replaceAll(tokens[i], step.mark, i + 1 == tokens.size() ? "" : " ");
    break;
  case Kind::ByteLevel: {
    thread_local std::string all;
    all.clear();
    for (const std::string &t : tokens) {
      size_t before = all.size();
      for (size_t at = 0; at < t.size();) {
        int b = charByte(next(t, at));
        if (b < 0) { // not of the alphabet: the token stands for itself
          all.resize(before);
          all += t;
          break;
        }
        all += char(b);
      }
    }
    tokens.resize(1);
    if (isValid(all))
      tokens[0].assign(all);
    else
      tokens[0] = repaired(all);
    break;
  }
  case Kind::WordPiece:
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0) {
        if (tokens[i].starts_with(step.mark))
          tokens[i].erase(0, step.mark.size());
        else
          tokens[i].insert(0, " ");
      }
      if (step.cleanup)
        cleanUp(tokens[i]);
    }
    break;
  case Kind::Metaspace:
    for (size_t i = 0; i < tokens.size(); ++i)
      replaceAll(tokens[i], step.mark, i == 0 && step.prepended ? "" : " ");
    break;
  case Kind::Ctc: {
    std::vector<std::string> out;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0 && tokens[i] == tokens[i - 1])
        continue;
      std::string t = tokens[i];
      replaceAll(t, step.mark, "");
      if (step.cleanup) {
        cleanUp(t);
        replaceAll(t, step.content, " ");
      }
      if (!t.empty())
        out.push_back(std::move(t));
    }
    tokens = std::move(out);
    break;
  }
  case Kind::Replace:
    for (std::string &t : tokens) {
      Text in, out;
      in.bytes = std::move(t);
      addReplaced(in, 0, in.bytes.size(), *step.pattern, step.content, out);
      t = std::move(out.bytes);
    }
    break;
  case Kind::Fuse: {
    thread_local std::string all;
    all.clear();
    for (const std::string &t : tokens)
      all += t;
    tokens.resize(1);
    tokens[0].assign(all);
    break;
  }
  case Kind::Strip:
    for (std::string &t : tokens) {
      size_t cut = 0;
      for (size_t i = 0; i < step.start && t.compare(cut, step.mark.size(), step.mark) == 0; ++i)
        cut += step.mark.size();
      size_t end = t.size();
      for (size_t i = 0; i < step.stop && end >= cut + step.mark.size() && std::string_view(t).substr(0, end).ends_with(step.mark); ++i)
        end -= step.mark.size();
      t = t.substr(cut, end - cut);
    }
    break;
  case Kind::ByteFallback: {
    thread_local std::vector<std::string> out;
    std::string bytes;
    out.clear();
    auto flush = [&] {
      if (isValid(bytes)) {
        if (!bytes.empty())
          out.push_back(bytes);
      } else {
        out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
      }
      bytes.clear();
    };
    for (std::string &t : tokens)
      if (int b = byteOf(t); b >= 0) {
        bytes += char(b);
      } else {
        flush();
        out.push_back(std::move(t));
      }
    flush();
    tokens.swap(out);
    break;
  }
  }
}

void TokenDecoder::join(std::vector<std::string> &tokens, std::string &out) const {
  for (const Step &s : steps)
    one(s, tokens);
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (none && i > 0)
      out += ' ';
    out += tokens[i];
  }
}

} // namespace bigm::text
