#include "FlowMeasure.h"
#include "FlowMetrics.h"
#include "runtime/data/Error.h"
#include "runtime/data/Picture.h"
#include <chrono>
#include <cstring>

namespace bigm::driver {
namespace {
using json = FlowMetric::json;

constexpr size_t kBatch = 16; // records that are answered together

/// Element `i` of a tensor of one record, as a flow's answer would print it.
json valueOf(const data::Field &field, const uint8_t *bytes) {
  auto one = [&](const uint8_t *at) -> json {
    auto as = [at]<class T>(T v) {
      std::memcpy(&v, at, sizeof v);
      return v;
    };
    switch (field.elem) {
    case data::Elem::F32: return plain(as(float()));
    case data::Elem::F64: return as(double());
    case data::Elem::I64: return as(int64_t());
    case data::Elem::I32: break;
    case data::Elem::I8: return int(as(int8_t()));
    case data::Elem::Bool: return *at != 0;
    default: return int(*at);
    }
    int32_t number = as(int32_t());
    if (field.isLabel() && number >= 0 && size_t(number) < field.labels.size())
      return field.labels[size_t(number)];
    return number;
  };
  if (field.shape.empty())
    return one(bytes);
  json list = json::array(); // flat: metrics look at boxes and numbers
  for (int64_t i = 0; i < data::product(field.shape); ++i)
    list.push_back(one(bytes + size_t(i) * data::sizeOf(field.elem)));
  return list;
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

/// Puts a record into the slots of the flow.
void append(const flow::Flow &flow, const EvaluateProgram &evaluate, const data::Table &table, int64_t record, flow::Slots &slots) {
  data::Batch one = table.batch(&record, 1);
  std::map<std::string, std::string> texts;
  std::map<std::string, std::shared_ptr<const data::Picture>> images;
  std::map<std::string, data::Tensor> tensors;
  for (auto &[input, type] : flow.inputs) {
    auto bound = std::find_if(evaluate.inputs.begin(), evaluate.inputs.end(), [&, &input = input](auto &b) { return b.first == input; });
    const std::string &field = bound->second;
    if (type.kind == flow::RichType::Kind::Text) {
      texts[input] = one.texts.at(field)[0];
    } else if (type.kind == flow::RichType::Kind::Image) {
      if (auto photo = one.pictures.find(field); photo != one.pictures.end()) {
        images[input] = photo->second[0];
        continue;
      }
      data::Tensor &pixels = one.fields.at(field); // [1, C, H, W] or [1, H, W]
      size_t rank = pixels.shape.size();
      images[input] = std::make_shared<const data::Picture>(data::Picture{rank == 4 ? int(pixels.shape[1]) : 1, int(pixels.shape[rank - 2]),
                                                                          int(pixels.shape[rank - 1]), {pixels.bytes.begin(), pixels.bytes.end()}});
    } else {
      data::Tensor value = std::move(one.fields.at(field));
      value.shape.erase(value.shape.begin());
      tensors[input] = std::move(value);
    }
  }
  flow::append(flow, std::move(texts), std::move(images), std::move(tensors), slots);
}

} // namespace

Measured measureFlow(FlowHost &host, DataSets &data, const EvaluateProgram &evaluate, const std::string &split, int64_t most) {
  const flow::Flow &flow = host.choose(evaluate.flow);
  FlowHost::Worker worker(host);
  std::vector<std::unique_ptr<FlowMetric>> metrics;
  for (auto &m : evaluate.metrics)
    metrics.push_back(makeFlowMetric(m));
  auto records = someOf(data.records(evaluate.data, split), most);
  const data::Table &table = data.table(evaluate.data, split);
  // A tensor of open size must be as large in all records of a batch.
  size_t each = kBatch;
  for (auto &[name, type] : flow.inputs)
    for (auto &size : type.shape)
      if (size.find_first_not_of("0123456789") != size.npos)
        each = 1;
  for (size_t begin = 0; begin < records.size(); begin += each) {
    size_t end = std::min(begin + each, records.size());
    flow::Slots slots;
    auto started = std::chrono::steady_clock::now();
    try {
      for (size_t i = begin; i < end; ++i)
        append(flow, evaluate, table, records[i], slots);
      flow::run(flow, slots, worker.around);
    } catch (const data::Error &e) {
      data::fail("data `{}`, records {} to {}: {}", evaluate.data, records[begin], records[end - 1], e.what());
    }
    double took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started).count() / double(end - begin);
    for (size_t i = begin; i < end; ++i) {
      json answer = flow::result(flow, slots, int64_t(i - begin)), truth = truthOf(table, records[i]);
      for (auto &m : metrics)
        m->add(answer, truth, took);
    }
  }
  Measured out;
  out.records = int64_t(records.size());
  for (size_t m = 0; m < metrics.size(); ++m)
    out.metrics.emplace_back(evaluate.metrics[m].name, metrics[m]->value());
  return out;
}

} // namespace bigm::driver
