#include "PostProcessor.h"
#include <algorithm>

namespace bigm::text {
namespace {

/// Takes the spaces at both ends of tokens out of their spans: as many characters of the text.
void trim(Row &row, const std::vector<std::string_view> &texts, bool prefixSpace) {
  for (size_t i = 0; i < row.spans.size(); ++i) {
    Span &s = row.spans[i];
    auto [leading, trailing] = row.edges[i];
    if ((i == 0 || s.begin == 0) && prefixSpace && leading == 1)
      leading = 0; // the space that was put in front
    if (row.of[i] >= texts.size())
      continue;
    std::string_view text = texts[row.of[i]];
    for (size_t broken; leading > 0 && s.begin < s.end; --leading) {
      size_t n = validAt(text, s.begin, broken);
      s.begin = std::min(s.begin + uint32_t(n ? n : broken), s.end);
    }
    // A token may show more spaces than the text has characters up to its end; then nothing is taken.
    auto back = [&](uint32_t at) {
      do
        --at;
      while (at > 0 && (uint8_t(text[at]) & 0xC0) == 0x80);
      return at;
    };
    uint32_t end = s.end;
    for (; trailing > 0 && end > 0; --trailing)
      end = back(end);
    if (trailing == 0)
      s.end = std::max(end, s.begin);
  }
}

} // namespace

void join(Row &to, const Row &more) {
  to.ids.insert(to.ids.end(), more.ids.begin(), more.ids.end());
  to.types.insert(to.types.end(), more.types.begin(), more.types.end());
  to.spans.insert(to.spans.end(), more.spans.begin(), more.spans.end());
  to.edges.insert(to.edges.end(), more.edges.begin(), more.edges.end());
  to.of.insert(to.of.end(), more.of.begin(), more.of.end());
}

Edges edgesOf(std::string_view token) {
  Edges out;
  bool inFront = true;
  for (size_t at = 0; at < token.size();) {
    char32_t c = next(token, at);
    bool space = c == 0x120 || is(c, kIsSpace);
    out.leading += inFront && space;
    inFront &= space;
    out.trailing = space ? out.trailing + 1 : 0;
  }
  return out;
}

PostProcessor PostProcessor::read(const Settings &settings) {
  PostProcessor p;
  if (!settings.isNull())
    p.add(settings, 0);
  return p;
}

std::vector<PostProcessor::Part> PostProcessor::readTemplate(const Settings &list, const Settings &tokens) {
  std::vector<Part> parts;
  for (size_t i = 0; i < list.count(); ++i) {
    Settings s = list.at(i);
    Part part;
    if (s.has("Sequence")) {
      Settings sequence = s["Sequence"];
      const std::string &which = sequence["id"].text();
      if (which != "A" && which != "B")
        sequence["id"].fail("expected A or B, and it is " + sequence["id"].seen());
      part.which = which == "B";
      part.type = int32_t(sequence["type_id"].whole(INT32_MAX));
    } else {
      Settings special = s["SpecialToken"];
      const std::string &name = special["id"].text();
      part.type = int32_t(special["type_id"].whole(INT32_MAX));
      if (!tokens.isObject() || !tokens.value->contains(name))
        special["id"].fail("the token " + special["id"].seen() + " is not in `special_tokens`");
      Settings ids = tokens[name.c_str()]["ids"];
      for (size_t k = 0; k < ids.count(); ++k)
        part.ids.push_back(int32_t(ids.at(k).whole(INT32_MAX)));
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

void PostProcessor::add(const Settings &s, int depth) {
  const std::string &type = s.type();
  Step step;
  if (type == "Sequence") {
    if (depth > 16)
      s.fail("sequences in sequences, more than 16 deep");
    Settings list = s["processors"];
    for (size_t i = 0; i < list.count(); ++i)
      add(list.at(i), depth + 1);
    return;
  }
  if (type == "ByteLevel") {
    step.trims = s.flag("trim_offsets", true);
    step.prefixSpace = s.flag("add_prefix_space", true);
  } else if (type == "TemplateProcessing") {
    step.single = readTemplate(s["single"], s["special_tokens"]);
    step.pair = readTemplate(s["pair"], s["special_tokens"]);
    for (const Part &p : step.single)
      if (p.which == 1)
        s["single"].fail("speaks of the second text");
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    auto idOf = [&](const char *name) {
      Settings pair = s[name];
      if (pair.count() != 2)
        pair.fail("expected a token and its id, and it is " + pair.seen());
      return int32_t(pair.at(1).whole(INT32_MAX));
    };
    bool roberta = type == "RobertaProcessing";
    Part cls{-1, {idOf("cls")}, 0}, sep{-1, {idOf("sep")}, 0}, a{0, {}, 0}, b{1, {}, !roberta};
    Part sepB{-1, sep.ids, !roberta};
    step.single = {cls, a, sep};
    step.pair = roberta ? std::vector<Part>{cls, a, sep, sep, b, sepB} : std::vector<Part>{cls, a, sep, b, sepB};
    step.onlyWithSpecial = true;
    step.oneType = roberta;
    step.trims = roberta && s.flag("trim_offsets", true);
    step.prefixSpace = roberta && s.flag("add_prefix_space", true);
  } else {
    s["type"].fail("there is no post-processor `" + type + "`; known are BertProcessing, ByteLevel, RobertaProcessing, Sequence "
                   "and TemplateProcessing");
  }
  steps.push_back(std::move(step));
}

size_t PostProcessor::added(bool pair) const {
  size_t n = 0;
  for (const Step &s : steps)
    for (const Part &p : pair ? s.pair : s.single)
      n += p.which < 0 ? p.ids.size() : 0;
  return n;
}

Row PostProcessor::apply(std::vector<Row> rows, const std::vector<std::string_view> &texts, bool special, bool spans) const {
  for (const Step &step : steps) {
    for (Row &r : rows) {
      if (step.trims)
        trim(r, texts, step.prefixSpace);
      if (step.oneType)
        std::fill(r.types.begin(), r.types.end(), 0);
    }
    const std::vector<Part> &parts = rows.size() == 2 ? step.pair : step.single;
    if (parts.empty() || (step.onlyWithSpecial && !special))
      continue;
    Row out;
    for (const Part &p : parts) {
      Row part;
      if (p.which >= 0) {
        part = rows[size_t(p.which)];
        std::fill(part.types.begin(), part.types.end(), p.type);
      } else if (special) {
        part.ids = p.ids;
        part.types.assign(p.ids.size(), p.type);
        part.of.assign(p.ids.size(), 2);
        if (spans) {
          part.spans.assign(p.ids.size(), {});
          part.edges.assign(p.ids.size(), {});
        }
      }
      join(out, part);
    }
    rows.assign(1, std::move(out));
  }
  for (size_t i = 1; i < rows.size(); ++i)
    join(rows[0], rows[i]);
  return std::move(rows[0]);
}

} // namespace bigm::text
