#include "FlowHost.h"
#include "RunFolder.h"
#include "runtime/data/Error.h"
#include "runtime/data/Npy.h"
#include "runtime/flow/ClassNames.h"
#include <algorithm>
#include <nlohmann/json.hpp>

namespace bigm::driver {
using data::fail;

std::vector<flow::Flow> flowsOf(const bigm_module *module) {
  uint64_t size = 0;
  const char *manifest = bigm_module_manifest(module, &size);
  return flow::flowsOf({manifest, size});
}

FlowHost::FlowHost(Session &session, DataSets &data, const CommonOptions &options, std::vector<flow::Flow> flows)
    : options(options), session_(session), data_(data), places{options.dataDir, options.sourceDir, &options.given}, flows(std::move(flows)) {}

const flow::Flow &FlowHost::choose(const std::string &name) const {
  if (name.empty())
    return flows.back();
  std::string names;
  for (auto &f : flows) {
    names += (names.empty() ? "`" : ", `") + f.name + "`";
    if (f.name == name)
      return f;
  }
  fail("there is no flow `{}`; the program has {}", name, names);
}

namespace {
/// Names of the classes of a field, `posts.intent`, as the data or a run gave them to the program.
std::vector<std::string> classNames(const Program &program, const std::string &path) {
  const size_t dot = path.find('.');
  std::vector<data::Field> fields = program.dataNamed(path.substr(0, dot)).fields;
  for (auto &[name, field] : data::classesOf(fields))
    if (name == path.substr(dot + 1))
      return field->labels;
  return {};
}
} // namespace

void FlowHost::loadWeights() {
  const Program &program = session_.program();
  if (!options.runDir.empty()) {
    RunFolder folder(options.runDir, true);
    folder.loadFor(program, session_.model());
    data_.loadTexts(folder);
    for (flow::Flow &flow : flows)
      flow::nameClassesOf(flow, [&](const std::string &field) { return classNames(program, field); });
    return;
  }
  bool fitted = std::any_of(program.tokenizers.begin(), program.tokenizers.end(), [](auto &t) { return t.kind != "file"; });
  fitted |= std::any_of(program.evaluates.begin(), program.evaluates.end(), [](auto &e) { return !e.fits.empty(); });
  if (!program.trains.empty() || !program.fits.empty() || fitted)
    fail("`{}` answers with what a training made: say with `--run` where that is", program.name);
  for (auto &model : program.models)
    session_.initialise(model, 0);
  loadPretrained(program, session_.model(), places);
  data_.makeTokenizers(options.sourceDir, [](const std::string &, int64_t) {});
}

FlowHost::Worker::Worker(FlowHost &host, bigm_context *own)
    : engines(host.session_.model(), own ? bigm_context_threads(own) : host.options.threads, /*fewest=*/4),
      around(flow::surroundingsOf(host.session_.functions(), host.session_.model(), own ? own : host.session_.context(), engines)) {
  around.tokenizer = [&host](const std::string &name) -> const text::Tokenizer & { return host.data_.tokenizers().at(name); };
}

bool takesOne(const flow::Flow &flow, flow::RichType::Kind kind) {
  return flow.inputs.size() == 1 && flow.inputs[0].second.kind == kind;
}

nlohmann::ordered_json parsedRecord(const flow::Flow &flow, const std::string &input) {
  if (takesOne(flow, flow::RichType::Kind::Text) || takesOne(flow, flow::RichType::Kind::Image))
    return input;
  auto value = nlohmann::ordered_json::parse(input, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded())
    fail("{}: is no JSON; `{}` takes {}", input, flow.name, flow.inputs.size() == 1 ? "its input as JSON" : "an object with its inputs");
  return value;
}

std::vector<std::string> recordsIn(const flow::Flow &flow, const std::string &input) {
  const size_t rank = flow.inputs[0].second.shape.size();
  if (!input.ends_with(".npy") || !takesOne(flow, flow::RichType::Kind::Tensor))
    return {input};
  const data::Tensor file = data::readNpyTensor(input);
  if (file.shape.size() != rank && file.shape.size() != rank + 1)
    fail("{}: has the sizes {}; a record of `{}` has {} of them, and a file of several one more", input, data::shapeText(file.shape), flow.name, rank);
  if (file.count() == 0)
    fail("{}: holds no numbers", input);
  auto numbers = flow::asJson(file, {});
  std::vector<std::string> records;
  if (file.shape.size() == rank)
    records.push_back(numbers.dump());
  else
    for (auto &one : numbers)
      records.push_back(one.dump());
  return records;
}

} // namespace bigm::driver
