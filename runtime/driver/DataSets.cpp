#include "DataSets.h"
#include "runtime/data/Error.h"
#include "runtime/data/Files.h"
#include "runtime/data/Order.h"
#include <algorithm>
#include <numeric>
#include <tuple>

namespace bigm::driver {
namespace {

bool inSplit(const DataProgram &d, const std::string &name) {
  return std::any_of(d.split.begin(), d.split.end(), [&](auto &part) { return part.first == name; });
}
/// The clause whose source has the records of a split: "from", "test" or "valid".
std::string clauseOf(const DataProgram &d, const std::string &split) {
  if (!inSplit(d, split)) {
    if (split == "test" && !d.test.name.empty())
      return "test";
    if (split == "valid" && !d.valid.name.empty())
      return "valid";
  }
  return "from";
}

/// The column of a text field, and for `sentence.word` the part of its list. The program was checked to have it.
std::pair<size_t, std::optional<size_t>> columnOf(const data::Table &table, const std::string &field) {
  for (size_t i = 0; i < table.fields.size(); ++i) {
    if (table.fields[i].name == field)
      return {i, std::nullopt};
    for (size_t p = 0; p < table.fields[i].parts.size(); ++p)
      if (table.fields[i].name + "." + table.fields[i].parts[p].name == field)
        return {i, p};
  }
  throw std::runtime_error(fmt::format("bug in bigmc: {} has no field `{}`", table.source, field));
}

} // namespace

DataSets::DataSets(Session &session, std::string dataDir, int threads)
    : session(session), dataDir(std::move(dataDir)), threads(threads) {}

bool DataSets::hasSplit(const std::string &data, const std::string &split) const {
  const DataProgram &d = session.program().dataNamed(data);
  return inSplit(d, split) || clauseOf(d, split) != "from" || (d.split.empty() && split == "train");
}

const data::Table &DataSets::table(const std::string &data, const std::string &split) {
  const DataProgram &d = session.program().dataNamed(data);
  std::string clause = clauseOf(d, split);
  auto found = tables.find({data, clause});
  if (found != tables.end())
    return found->second;
  // Classes without names get them from `from`, and the other sources must have the same.
  std::vector<data::Field> fields = d.fields;
  auto declared = data::classesOf(fields);
  if (clause != "from" && std::any_of(declared.begin(), declared.end(), [](auto &c) { return c.second->labels.empty(); })) {
    table(data, "train");
    fields = d.fields;
    declared = data::classesOf(fields);
  }
  data::Table opened = data::openTable(d.name, clause == "test" ? d.test : clause == "valid" ? d.valid : d.from, fields, dataDir, unsigned(threads),
                                           [this](const std::string &tokenizer, const std::string &text) { return cut(tokenizer, text); });
  for (auto &n : opened.notes)
    if (note)
      note(fmt::format("data `{}`: {}", d.name, n));
  auto there = data::classesOf(opened.fields);
  for (size_t i = 0; i < there.size(); ++i)
    if (auto &[field, own] = there[i]; declared[i].second->labels.empty() && !own->labels.empty()) {
      if (clause != "from")
        data::fail("data `{}`: the field `{}` holds names of classes in `{}`, and numbers in `from`", d.name, field, clause);
      session.nameClasses(d.name, field, own->labels);
    }
  return tables.emplace(std::pair{data, clause}, std::move(opened)).first->second;
}

std::vector<int64_t> DataSets::records(const std::string &data, const std::string &split) {
  const data::Table &t = table(data, split);
  const DataProgram &d = session.program().dataNamed(data);
  std::vector<int64_t> all(static_cast<size_t>(t.count));
  std::iota(all.begin(), all.end(), 0);
  bool own = clauseOf(d, split) != "from";
  if (!own) {
    if (t.window > 0 && !d.split.empty() && !d.inOrder)
      data::fail("data `{}`: the windows of {} overlap, so its split must go by position: write `split {{ ... }} in order`", d.name, t.source);
    all = data::splitRecords(d.name, t.source, t.count, d.split, d.seed, split, d.inOrder);
  }
  if (t.window > 0) {
    // A window that begins here and ends in the next split belongs to neither.
    bool last = own || d.split.empty() || all.back() + 1 == t.count;
    if (!last)
      all.resize(size_t(std::max<int64_t>(0, int64_t(all.size()) - (t.window - 1))));
    if (split != "train") {
      std::vector<int64_t> apart;
      for (size_t i = 0; i < all.size(); i += size_t(t.stride))
        apart.push_back(all[i]);
      all = std::move(apart);
    }
    if (all.empty())
      data::fail("data `{}`: its split `{}` has no whole window of {} {}", d.name, split, t.window, t.unit);
  }
  return all;
}

data::CutText DataSets::cut(const std::string &name, const std::string &text) const {
  auto &programs = session.program().tokenizers;
  auto program = std::find_if(programs.begin(), programs.end(), [&](auto &t) { return t.name == name; });
  text::EncodeOptions options;
  options.special = options.limits = false;
  options.offsets = true;
  data::CutText out;
  try {
    text::Encoding whole;
    if (program != programs.end() && program->kind != "file") {
      // Where characters and words stand does not depend on the vocabulary, which is perhaps to be fitted on these windows.
      TokenizerProgram any = *program;
      any.unknown = true;
      whole = fitTokenizer(any, [] { return nullptr; }).encode(text, options);
    } else {
      whole = tokenizers_.at(name).encode(text, options);
      out.ids = std::move(whole.ids);
    }
    for (const text::Span &s : whole.offsets)
      out.spans.emplace_back(s.begin, s.end);
  } catch (const text::Error &e) {
    data::fail("the text cannot be cut by `{}`: {}", name, e.what());
  }
  return out;
}

void DataSets::readTokenizers(const std::string &sourceDir, const RunFolder *run) {
  for (auto &t : session.program().tokenizers) {
    std::string kept = "tokenizer." + t.name + ".json";
    if (t.kind != "file" || tokenizers_.count(t.name))
      continue;
    if (run && run->has(kept))
      tokenizers_.insert_or_assign(t.name, text::Tokenizer::fromFile(run->file(kept)));
    else
      tokenizers_.insert_or_assign(t.name, readTokenizer(t, sourceDir, dataDir));
  }
}

void DataSets::makeTokenizers(const std::string &sourceDir, const std::function<void(const std::string &, int64_t)> &done) {
  readTokenizers(sourceDir);
  for (auto &t : session.program().tokenizers) {
    if (t.kind == "file")
      continue;
    std::string split = t.split.empty() ? "train" : t.split;
    auto list = records(t.data, split);
    const data::Table &from = table(t.data, split);
    size_t at = 0;
    auto [column, part] = columnOf(from, t.field);
    // Windows of a text overlap: one after the other, they show each character once.
    size_t step = from.window > 0 ? size_t(from.window) : 1;
    std::string text;
    bool tail = false;
    std::vector<std::string> elements; // of the record before `at`, where the field is in a list; taken from the end
    auto fitted = fitTokenizer(t, [&, column = column, part = part]() -> const std::string * {
      if (part) {
        while (elements.empty() && at < list.size())
          elements = from.columns[column]->partTexts(list[at++], *part);
        if (elements.empty())
          return nullptr;
        text = std::move(elements.back());
        elements.pop_back();
        return &text;
      }
      if (at >= list.size()) {
        if (tail || step == 1)
          return nullptr;
        tail = true; // the last window, which the steps may have left out
        text = from.columns[column]->text(list.back());
        return &text;
      }
      text = from.columns[column]->text(list[at]);
      at += step;
      return &text;
    });
    done(t.name, fitted.size());
    tokenizers_.insert_or_assign(t.name, std::move(fitted));
  }
}

void DataSets::saveTexts(const RunFolder &folder) const {
  for (auto &[name, tokenizer] : tokenizers_)
    data::writeAtomically(folder.file("tokenizer." + name + ".json"), tokenizer.json().data(), tokenizer.json().size());
  nlohmann::ordered_json classes = nlohmann::ordered_json::object();
  for (auto &[set, field] : session.namedByData())
    for (std::vector<data::Field> fields = session.program().dataNamed(set).fields; auto &[name, f] : data::classesOf(fields))
      if (name == field)
        classes[set + "." + field] = f->labels;
  if (!classes.empty())
    folder.writeJson("classes.json", classes);
}

void DataSets::loadTexts(const RunFolder &folder) {
  for (auto &t : session.program().tokenizers) {
    std::string path = folder.file("tokenizer." + t.name + ".json");
    if (!folder.has("tokenizer." + t.name + ".json"))
      data::fail("{}: there is no such file; expected the tokenizer that `bigmc train` keeps there", path);
    try {
      tokenizers_.insert_or_assign(t.name, text::Tokenizer::fromFile(path));
    } catch (const text::Error &e) {
      data::fail("{}", e.what());
    }
    if (t.atMost > 0 && tokenizers_.at(t.name).size() > t.atMost)
      data::fail("{}: has {} tokens, and the program says `at_most: {}`", path, tokenizers_.at(t.name).size(), t.atMost);
  }
  auto classes = folder.readJson("classes.json");
  if (!classes.is_object())
    return;
  for (auto &d : std::vector<DataProgram>(session.program().data))
    for (auto &[field, f] : data::classesOf(d.fields))
      if (auto found = classes.find(d.name + "." + field); found != classes.end() && f->labels.empty()) {
        std::vector<std::string> names;
        for (auto &name : *found)
          if (name.is_string())
            names.push_back(name.get<std::string>());
        if (int64_t(names.size()) > f->classes)
          data::fail("{}: names {} classes of `{}`, which is {}", folder.file("classes.json"), names.size(), field, f->typeText());
        session.nameClasses(d.name, field, names);
      }
}

void DataSets::shuffle(const std::string &name, std::vector<int64_t> &records, uint64_t seed, uint64_t stream) {
  const data::Table &from = table(name, "train");
  if (from.window > 0)
    data::shuffleWindows(records, from.stride, seed, stream);
  else
    data::shuffle(records, seed, stream);
}

void DataSets::bucket(const std::string &name, const std::string &split, std::vector<int64_t> &order, int64_t batch, uint64_t seed) {
  const DataProgram &d = session.program().dataNamed(name);
  if (d.bucket.empty())
    return;
  auto step = std::find_if(d.host.begin(), d.host.end(), [&](auto &s) { return s.output == d.bucket; });
  if (step == d.host.end())
    throw std::runtime_error(fmt::format("bug in bigmc: `{}` is bucketed by `{}`, which nothing makes", name, d.bucket));
  const data::Table &from = table(name, split);
  auto &known = lengths[name + "." + clauseOf(d, split)];
  if (known.empty()) {
    known.resize(size_t(from.count));
    auto [column, part] = columnOf(from, step->input);
    const text::Tokenizer &tokenizer = tokenizers_.at(step->tokenizer);
    for (int64_t r = 0; r < from.count; ++r)
      try {
        if (step->op == "pieces") {
          std::vector<std::string> words = from.columns[column]->partTexts(r, *part);
          known[size_t(r)] = int32_t(piecesOf(tokenizer, words, *step).ids.size());
          continue;
        }
        if (step->each) {
          known[size_t(r)] = int32_t(from.columns[column]->elements(r));
          continue;
        }
        known[size_t(r)] = int32_t(idsOf(tokenizer, from.columns[column]->text(r), *step).size());
      } catch (const text::Error &e) {
        data::fail("{}: record {}: {}", from.source, r, e.what());
      }
  }
  // Sorted within runs of 50 batches, so that which records meet still changes from epoch to epoch.
  auto run = size_t(batch) * 50, whole = order.size() - order.size() % size_t(batch);
  std::vector<std::tuple<int32_t, size_t, int64_t>> sorted; // length, place, record
  for (size_t i = 0; i < whole; ++i)
    sorted.emplace_back(known[size_t(order[i])], i, order[i]);
  for (size_t begin = 0; begin < whole; begin += run)
    std::sort(sorted.begin() + ptrdiff_t(begin), sorted.begin() + ptrdiff_t(std::min(begin + run, whole)));
  for (size_t i = 0; i < whole; ++i)
    order[i] = std::get<2>(sorted[i]);
  std::vector<int64_t> blocks(whole / size_t(batch));
  std::iota(blocks.begin(), blocks.end(), 0);
  data::shuffle(blocks, seed, 1);
  std::vector<int64_t> mixed;
  mixed.reserve(order.size());
  for (int64_t b : blocks)
    mixed.insert(mixed.end(), order.begin() + b * batch, order.begin() + (b + 1) * batch);
  mixed.insert(mixed.end(), order.begin() + ptrdiff_t(whole), order.end());
  order = std::move(mixed);
}

data::Loader DataSets::batches(const std::string &name, const std::string &split, std::vector<int64_t> order,
                               int64_t batch, Mode mode, uint64_t seed, int64_t first) {
  const DataProgram &d = session.program().dataNamed(name);
  std::string function;
  if (mode != Mode::Raw)
    function = mode == Mode::Train && !d.prepareTrain.empty() ? d.prepareTrain : d.prepare;
  data::LoaderOptions options;
  options.batch = batch;
  options.first = first;
  options.workers = threads > 1 ? std::min(threads, 8) : 0;
  options.ahead = options.workers + 2;
  session.openLanes(std::max(1, options.workers));
  return data::Loader(table(name, split), std::move(order), options,
                      [this, function, seed, steps = d.host](data::Batch &b, int64_t number, int worker) {
                        runHostSteps(steps, tokenizers_, b);
                        session.prepare(function, b, {data::mixSeed(seed, uint64_t(number)), 0, 0}, worker);
                      });
}

data::Batch DataSets::prepared(const std::string &name, const std::string &split, int64_t record) {
  const DataProgram &d = session.program().dataNamed(name);
  data::Batch one = table(name, split).batch(&record, 1);
  runHostSteps(d.host, tokenizers_, one);
  session.openLanes(1);
  session.prepare(d.prepare, one, {}, 0);
  return one;
}

DataSets::Mode DataSets::modeFor(const std::string &name, const std::string &function) const {
  const DataProgram &d = session.program().dataNamed(name);
  for (auto &arg : session.program().function(function).args)
    if (arg.role == "input" && !isRaw(d, arg.name))
      return Mode::Plain;
  return Mode::Raw;
}

} // namespace bigm::driver
