#include "FlowMeasure.h"
#include "FlowMetrics.h"
#include "runtime/data/Error.h"
#include "runtime/data/Picture.h"
#include <chrono>
#include <cstring>
#include <numeric>

namespace bigm::driver {
namespace {
using json = FlowMetric::json;

constexpr size_t kBatch = 16; // records that are answered together

/// Classes are compared by their numbers: the program may name them where the data does not, and the other way round.
void forgetNames(flow::RichType &type) {
  type.labels.clear();
  for (flow::RichType &field : type.fields)
    forgetNames(field);
}
flow::Flow withoutNames(flow::Flow flow) {
  forgetNames(flow.result);
  return flow;
}

/// The numbers of one record or element, as such an answer would print them.
json valueOf(const data::Field &field, const uint8_t *bytes) {
  data::Tensor one(field.elem, field.shape);
  std::memcpy(one.bytes.data(), bytes, one.bytes.size());
  return flow::asJson(one, {});
}

/// What the data says of a record, field by field; pictures are left out.
json truthOf(const data::Table &table, int64_t record) {
  json truth = json::object();
  for (size_t f = 0; f < table.fields.size(); ++f) {
    const data::Field &field = table.fields[f];
    const data::Column &column = *table.columns[f];
    if (field.isFromPictures())
      continue;
    if (field.isText()) {
      truth[field.name] = column.text(record);
    } else if (field.isList()) {
      json list = json::array();
      for (int64_t i = 0; i < column.elements(record); ++i) {
        json element = json::object();
        for (size_t p = 0; p < field.parts.size(); ++p) {
          if (field.parts[p].isText()) {
            element[field.parts[p].name] = column.partTexts(record, p)[size_t(i)];
            continue;
          }
          size_t each = size_t(data::product(field.parts[p].shape)) * data::sizeOf(field.parts[p].elem);
          element[field.parts[p].name] = valueOf(field.parts[p], column.part(record, p).data() + size_t(i) * each);
        }
        list.push_back(std::move(element));
      }
      truth[field.name] = std::move(list);
    } else {
      std::vector<uint8_t> bytes(size_t(data::product(field.shape)) * data::sizeOf(field.elem));
      column.copy(record, bytes.data());
      truth[field.name] = valueOf(field, bytes.data());
    }
  }
  return truth;
}

/// A list of the data as the flow takes it: of each element the parts that it asks for.
flow::Item listOf(const flow::RichType &type, const data::Field &field, const data::Column &column, int64_t record) {
  const flow::RichType &element = type.fields[0];
  flow::Item list;
  list.items.resize(size_t(column.elements(record)));
  for (auto &item : list.items)
    item.items.resize(element.fields.size());
  for (size_t f = 0; f < element.fields.size(); ++f) {
    size_t p = 0;
    while (field.parts.at(p).name != element.names[f])
      ++p;
    const data::Field &part = field.parts[p];
    size_t each = size_t(data::product(part.shape)) * data::sizeOf(part.elem);
    for (size_t i = 0; i < list.items.size(); ++i) {
      flow::Item &item = list.items[i].items[f];
      if (part.isText()) {
        item.text = column.partTexts(record, p)[i];
        continue;
      }
      item.tensor = data::Tensor(part.elem, part.shape);
      std::memcpy(item.tensor.bytes.data(), column.part(record, p).data() + i * each, each);
    }
  }
  return list;
}

/// Puts a record, with what is derived from it where the flow takes that, into the slots of the flow.
void append(const flow::Flow &flow, const EvaluateProgram &evaluate, const data::Table &table, int64_t record, data::Batch one, flow::Slots &slots) {
  std::vector<flow::Item> inputs;
  for (auto &[input, type] : flow.inputs) {
    auto bound = std::find_if(evaluate.inputs.begin(), evaluate.inputs.end(), [&, &input = input](auto &b) { return b.first == input; });
    const std::string &name = bound->second;
    flow::Item &item = inputs.emplace_back();
    if (type.kind == flow::RichType::Kind::Text) {
      item.text = one.texts.at(name)[0];
    } else if (type.kind == flow::RichType::Kind::List) {
      auto field = std::find_if(table.fields.begin(), table.fields.end(), [&](auto &f) { return f.name == name; });
      item = listOf(type, *field, *table.columns[size_t(field - table.fields.begin())], record);
    } else if (type.kind == flow::RichType::Kind::Image) {
      if (auto photo = one.pictures.find(name); photo != one.pictures.end()) {
        item.image = photo->second[0];
        continue;
      }
      data::Tensor &pixels = one.fields.at(name); // [1, C, H, W] or [1, H, W]
      size_t rank = pixels.shape.size();
      item.image = std::make_shared<const data::Picture>(data::Picture{rank == 4 ? int(pixels.shape[1]) : 1, int(pixels.shape[rank - 2]),
                                                                       int(pixels.shape[rank - 1]), {pixels.bytes.begin(), pixels.bytes.end()}});
    } else {
      item.tensor = std::move(one.fields.at(name));
      item.tensor.shape.erase(item.tensor.shape.begin());
    }
  }
  flow::append(flow, std::move(inputs), slots);
}

} // namespace

FlowRecords::FlowRecords(FlowHost &host, const EvaluateProgram &evaluate, const std::string &split, int64_t most)
    : host(host), evaluate(evaluate), flow(withoutNames(host.choose(evaluate.flow))), records(someOf(host.data().records(evaluate.data, split), most)),
      table(host.data().table(evaluate.data, split)), split(split) {
  auto &all = host.session().program().dataNamed(evaluate.data).derived;
  auto isDerived = [&](const std::string &name) { return std::find(all.begin(), all.end(), name) != all.end(); };
  for (auto &[input, field] : evaluate.inputs)
    derivesInputs |= isDerived(field);
  for (auto &m : evaluate.metrics)
    for (auto &path : m.host.strings)
      if (std::string name = path.substr(0, path.find('.')); isDerived(name))
        compared.insert(name);
}

json FlowRecords::truth(size_t place) const {
  json truth = truthOf(table, records[place]);
  if (!compared.empty())
    for (auto one = host.data().prepared(evaluate.data, split, records[place]); auto &name : compared) {
      data::Tensor &value = one.fields.at(name);
      value.shape.erase(value.shape.begin());
      truth[name] = flow::asJson(value, {});
    }
  return truth;
}

void FlowRecords::answer(const std::vector<size_t> &places, const Use &use) {
  FlowHost::Worker worker(host);
  // A tensor of open size must be as large in all records of a batch.
  size_t each = kBatch;
  for (auto &[name, type] : flow.inputs)
    for (auto &size : type.shape)
      if (size.find_first_not_of("0123456789") != size.npos)
        each = 1;
  for (size_t begin = 0; begin < places.size(); begin += each) {
    size_t end = std::min(begin + each, places.size());
    flow::Slots slots;
    auto started = std::chrono::steady_clock::now();
    try {
      for (size_t i = begin; i < end; ++i)
        append(flow, evaluate, table, records[places[i]],
               derivesInputs ? host.data().prepared(evaluate.data, split, records[places[i]]) : table.batch(&records[places[i]], 1), slots);
      flow::run(flow, slots, worker.around);
    } catch (const data::Error &e) {
      data::fail("data `{}`, records {} to {}: {}", evaluate.data, records[places[begin]], records[places[end - 1]], e.what());
    }
    for (const flow::Step &step : flow.steps)
      if (step.op == "pieces") {
        const auto all = int64_t(slots.texts.at(step.inputs.at(0)).size());
        const data::Tensor &left = slots.tensors.at(step.outputs.at(3));
        words += all;
        cutWords += all - std::accumulate(left.as<int32_t>(), left.as<int32_t>() + left.count(), int64_t(0));
      }
    double took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started).count() / double(end - begin);
    for (size_t i = begin; i < end; ++i)
      use(places[i], flow::result(flow, slots, int64_t(i - begin)), took);
  }
}

Measured measureFlow(FlowHost &host, const EvaluateProgram &evaluate, const std::string &split, int64_t most) {
  std::vector<std::unique_ptr<FlowMetric>> metrics;
  for (auto &m : evaluate.metrics)
    metrics.push_back(makeFlowMetric(m));
  FlowRecords records(host, evaluate, split, most);
  std::vector<size_t> places(records.count());
  std::iota(places.begin(), places.end(), size_t(0));
  records.answer(places, [&](size_t place, const json &answer, double milliseconds) {
    json truth = records.truth(place);
    for (auto &m : metrics)
      m->add(answer, truth, milliseconds);
  });
  Measured out;
  out.records = int64_t(records.count());
  out.words = records.words;
  out.cutWords = records.cutWords;
  for (size_t m = 0; m < metrics.size(); ++m)
    out.metrics.emplace_back(evaluate.metrics[m].name, metrics[m]->value());
  return out;
}

} // namespace bigm::driver
