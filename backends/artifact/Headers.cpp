// STEM.h and STEM.hpp: thin, typed, inline over the runtime's C ABI, so that the library's own symbols stay three.
#include "Artifact.h"
#include "FlowHeaders.h"
#include "Signature.h"
#include <fmt/format.h>

namespace bigm::artifact {
namespace {
using nlohmann::json;

std::string upper(std::string text) {
  for (char &c : text)
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}
/// "cpu:x86-64-v2, cpu:x86-64-v3"
std::string targetsOf(const json &manifest) {
  std::string out = manifest.value("target", "cpu");
  for (const json &variant : manifest.value("variants", json::array()))
    out += ", " + variant.value("target", "cpu");
  return out;
}
std::string flowNames(const json &manifest) {
  std::string names;
  for (const json &flow : manifest.at("flows"))
    names += (names.empty() ? "" : ", ") + flow.at("name").get<std::string>();
  return names;
}
std::string describe(const Parameter &p, const char *mark) {
  return fmt::format("{}{}: {}{}\n", mark, p.c, p.shape, p.unit.empty() ? "" : ", " + p.unit);
}
std::string describe(const Signature &s, const char *first, const char *mark) {
  std::string out = first + s.what + "\n";
  for (const Parameter &p : s.inputs)
    out += describe(p, mark);
  for (const Parameter &p : s.outputs)
    out += describe(p, (std::string(mark) + "-> ").c_str());
  return out;
}

std::string cFunction(const std::string &stem, const Signature &s) {
  std::string out = describe(s, "/* ", " *   ");
  out += " *   Outputs that are not wanted may be NULL. */\n";
  out += fmt::format("static inline bigm_status {0}_{1}({0}_model *self", stem, s.c);
  for (const std::string &symbol : s.symbols)
    out += ", int64_t " + symbol;
  for (const Parameter &p : s.inputs)
    out += fmt::format(", const {} *{}", p.ctype, p.c);
  for (const Parameter &p : s.outputs)
    out += fmt::format(", {} *{}", p.ctype, p.c);
  out += ") {\n";
  auto array = [&](const char *type, const char *name, const auto &items, auto text) {
    if (items.empty())
      return;
    out += fmt::format("  {} {}[{}] = {{", type, name, items.size());
    for (size_t i = 0; i < items.size(); ++i)
      out += (i ? ", " : "") + text(items[i]);
    out += "};\n";
  };
  array("const int64_t", "dims", s.symbols, [](const std::string &symbol) { return symbol; });
  array("const void *", "inputs", s.inputs, [](const Parameter &p) { return p.c; });
  array("void *", "outputs", s.outputs, [](const Parameter &p) { return p.c; });
  out += "  bigm_call call;\n  bigm_status status;\n";
  out += "  memset(&call, 0, sizeof call);\n  call.struct_size = sizeof call;\n";
  out += fmt::format("  call.function = {};\n", s.index);
  if (!s.symbols.empty())
    out += "  call.dims = dims;\n";
  if (!s.inputs.empty())
    out += "  call.inputs = inputs;\n";
  if (!s.outputs.empty())
    out += "  call.outputs = outputs;\n";
  if (s.seed)
    out += s.trains || s.gathers ? "  call.seed = self->seed + self->step + (self->gathered << 40);\n" : "  call.seed = self->seed + self->step;\n";
  if (s.step)
    out += "  call.step = (float)self->step;\n  call.steps = (float)self->steps;\n";
  out += "  status = bigm_run(self->context, &call);\n";
  if (s.trains)
    out += "  if (status == BIGM_OK) {\n    ++self->step;\n    self->gathered = 0;\n  }\n";
  if (s.gathers)
    out += "  if (status == BIGM_OK)\n    ++self->gathered;\n";
  out += "  return status;\n}\n\n";
  return out;
}

std::string structName(const Signature &s) {
  std::string out;
  bool up = true;
  for (char c : s.c) {
    if (c == '_') {
      up = true;
      continue;
    }
    out += up ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    up = false;
  }
  return out + "Result";
}

std::string cppFunction(const std::string &stem, const Signature &s) {
  std::string out = describe(s, "  /// ", "  ///   ");
  // Pointers: allocates nothing.
  out += fmt::format("  void {}(", s.c);
  std::string separator, forwarded;
  auto parameter = [&](const std::string &type, const std::string &name) {
    out += separator + type + name;
    separator = ", ";
    forwarded += ", " + name;
  };
  for (const std::string &symbol : s.symbols)
    parameter("int64_t ", symbol);
  for (const Parameter &p : s.inputs)
    parameter("const " + p.ctype + " *", p.c);
  for (const Parameter &p : s.outputs)
    parameter(p.ctype + " *", p.c);
  out += fmt::format(") {{ bigm::check(::{}_{}(&handle_{})); }}\n", stem, s.c, forwarded);
  if (s.batch.empty() || s.outputs.empty())
    return out;

  // Containers: the batch size follows from how much is given.
  bool one = s.outputs.size() == 1;
  auto resultType = [](const Parameter &p) {
    return p.dims.empty() ? p.ctype : fmt::format("std::vector<{}>", p.ctype);
  };
  if (!one) {
    out += fmt::format("  struct {} {{\n", structName(s));
    for (const Parameter &p : s.outputs)
      out += fmt::format("    {} {}{}; // {}\n", resultType(p), p.c, p.dims.empty() ? " = 0" : "", p.shape);
    out += "  };\n";
  }
  out += fmt::format("  {} {}(", one ? resultType(s.outputs[0]) : structName(s), s.c);
  separator.clear();
  for (const Parameter &p : s.inputs) {
    out += fmt::format("{}bigm::View<const {}> {}", separator, p.ctype, p.c);
    separator = ", ";
  }
  out += ") {\n";
  const Parameter &lead = s.inputs[0];
  std::string record = "1";
  for (size_t i = 1; i < lead.dims.size(); ++i)
    record += " * " + lead.dims[i];
  out += fmt::format("    const int64_t {} = bigm::batch_of({}.size(), {}, \"{}\", \"{}\");\n", s.batch, lead.c, record,
                     lead.name, lead.shape);
  for (size_t i = 1; i < s.inputs.size(); ++i)
    out += fmt::format("    bigm::expect_size({}.size(), {}, \"{}\", \"{}\");\n", s.inputs[i].c, s.inputs[i].count,
                       s.inputs[i].name, s.inputs[i].shape);
  auto field = [&](const Parameter &p) { return one ? std::string("result") : "result." + p.c; };
  out += fmt::format("    {} result{};\n", one ? resultType(s.outputs[0]) : structName(s),
                     one && s.outputs[0].dims.empty() ? " = 0" : "");
  for (const Parameter &p : s.outputs)
    if (!p.dims.empty())
      out += fmt::format("    {}.resize(static_cast<size_t>({}));\n", field(p), p.count);
  out += fmt::format("    {}({}", s.c, s.batch);
  for (const Parameter &p : s.inputs)
    out += fmt::format(", {}.data()", p.c);
  for (const Parameter &p : s.outputs)
    out += p.dims.empty() ? ", &" + field(p) : ", " + field(p) + ".data()";
  out += ");\n    return result;\n  }\n";
  return out;
}
} // namespace

std::string cHeader(const std::string &stem, const std::string &manifestText) {
  json manifest = json::parse(manifestText);
  const bool flows = manifest.contains("flows");
  std::string out = fmt::format(R"(/* {0}: made by {1} for {2}. Do not edit; build it again.
 *
 *   {0}_model model;
 *   if ({0}_open(&model, "share/{0}/weights.safetensors", 0) != BIGM_OK)
 *     puts(bigm_last_error());
 *
 * Arrays are dense and row-major; a shape names its dimensions, outermost first. Every call returns a bigm_status;
 * bigm_last_error() has the text. One handle is for one thread at a time: {0}_fork makes another on the same weights.
 */
#ifndef {3}_H
#define {3}_H
#include <bigm/bigm.h>
{4}#include <string.h>

#ifdef __cplusplus
extern "C" {{
#endif

extern const char {0}_bigm_manifest[];
extern const uint64_t {0}_bigm_manifest_size;
extern const bigm_entry {0}_bigm_entries[];

typedef struct {0}_model {{
  bigm_module *module;
  bigm_model *model;
  bigm_context *context;
  int32_t shared;      /* made by {0}_fork: the model is another handle's */
  int64_t seed;        /* of random numbers in training: a step uses seed + step */
  int64_t step, steps; /* steps taken, and how many there will be: what learning-rate schedules go by */
  int64_t gathered;    /* batches whose gradients wait for the next step */
}} {0}_model;

/* Frees what the handle owns; forks must be closed before the handle they were made from. */
static inline void {0}_close({0}_model *self) {{
  bigm_context_destroy(self->context);
  if (!self->shared) {{
    bigm_model_destroy(self->model);
    bigm_module_destroy(self->module);
  }}
  memset(self, 0, sizeof *self);
}}

/* Opens the model. `weights`: a safetensors file; NULL starts from initial weights under seed 0. `threads`: 0 takes all
 * cores; results do not depend on it. */
static inline bigm_status {0}_open({0}_model *self, const char *weights, int32_t threads) {{
  bigm_module_source source;
  bigm_context_options options;
  bigm_status status;
  memset(self, 0, sizeof *self);
  memset(&source, 0, sizeof source);
  memset(&options, 0, sizeof options);
  source.struct_size = sizeof source;
  source.manifest = {0}_bigm_manifest;
  source.manifest_size = {0}_bigm_manifest_size;
  source.entries = {0}_bigm_entries;
  options.struct_size = sizeof options;
  options.threads = threads;
  self->steps = 1;
  status = bigm_module_create(&source, &self->module);
  if (status == BIGM_OK)
    status = bigm_model_create(self->module, &self->model);
  if (status == BIGM_OK)
    status = bigm_context_create(self->model, &options, &self->context);
)",
                                stem, manifest.value("compiler", "bigmc"), targetsOf(manifest), upper(stem),
                                flows ? "#include <bigm/flow.h>\n" : "");
  for (const json &train : manifest.at("trains"))
    out += fmt::format("  if (status == BIGM_OK && !weights)\n    status = bigm_init(self->context, \"{}\", 0);\n",
                       train.at("name").get<std::string>());
  out += fmt::format(R"(  if (status == BIGM_OK && weights)
    status = bigm_model_load(self->model, weights, NULL);
  if (status != BIGM_OK)
    {0}_close(self);
  return status;
}}

/* Another handle on the same weights, for another thread. */
static inline bigm_status {0}_fork(const {0}_model *from, int32_t threads, {0}_model *self) {{
  bigm_context_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.threads = threads;
  *self = *from;
  self->shared = 1;
  self->context = NULL;
  return bigm_context_create(self->model, &options, &self->context);
}}

/* Parameters, states and fitted values as a safetensors file; saving is all or nothing. */
static inline bigm_status {0}_load({0}_model *self, const char *path) {{ return bigm_model_load(self->model, path, NULL); }}
/* One part alone, named by its path (`trunk`, `trunk.conv`), from a file that has its tensors with that path in front or
 * without it. Refused, and nothing changed, where the file does not fit the part. */
static inline bigm_status {0}_load_part({0}_model *self, const char *part, const char *path) {{
  bigm_load_options options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.part = part;
  return bigm_model_load(self->model, path, &options);
}}
static inline bigm_status {0}_save(const {0}_model *self, const char *path) {{ return bigm_model_save(self->model, path, 0); }}

)",
                     stem);
  if (flows)
    out += fmt::format(R"(/* A flow of the program by its name: {1}. `share`: the library's folder share/{0}, where tokenizers lie. See bigm/flow.h. */
static inline bigm_status {0}_flow({0}_model *self, const char *name, const char *share, bigm_flow **out) {{
  return bigm_flow_create(self->module, self->model, self->context, name, share, out);
}}

)",
                       stem, flowNames(manifest));
  for (const Signature &s : signaturesOf(manifest))
    out += cFunction(stem, s);
  out += fmt::format("#ifdef __cplusplus\n}}\n#endif\n#endif /* {}_H */\n", upper(stem));
  return out;
}

std::string cppHeader(const std::string &stem, const std::string &manifestText) {
  json manifest = json::parse(manifestText);
  const bool flows = manifest.contains("flows");
  const FlowText text = flowText(manifest);
  std::string out = fmt::format(R"(// {0}: made by {1} for {2}. Do not edit; build it again.
//
//   {0}::Model model("share/{0}/weights.safetensors");
//
// Arrays are dense and row-major; a shape names its dimensions, outermost first. Errors are bigm::Error. A Model is for
// one thread at a time; fork() gives another on the same weights.
#ifndef {3}_HPP
#define {3}_HPP
#include "{0}.h"
{4}#include <bigm/view.hpp>
#include <string>
#include <vector>

namespace {0} {{

class Model {{
public:
  /// Opens the model. `weights`: a safetensors file; empty starts from initial weights. `threads`: 0 takes all cores.
  explicit Model(const std::string &weights = "", int threads = 0) {{
{5}    bigm::check(::{0}_open(&handle_, weights.empty() ? nullptr : weights.c_str(), threads));
  }}
  ~Model() {{
{9}    ::{0}_close(&handle_);
  }}
  Model(Model &&other) noexcept : handle_(other.handle_){6} {{ other.handle_ = ::{0}_model{{}}; }}
  Model &operator=(Model &&other) noexcept {{
    std::swap(handle_, other.handle_);
{7}    return *this;
  }}
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;

  /// Another handle on the same weights, for another thread. This one must outlive it.
  Model fork(int threads = 1) const {{
    Model other{{Empty{{}}}};
{8}    bigm::check(::{0}_fork(&handle_, threads, &other.handle_));
    return other;
  }}
  void load(const std::string &path) {{ bigm::check(::{0}_load(&handle_, path.c_str())); }}
  /// One part alone, named by its path, from a file that has its tensors with that path in front or without it.
  void load(const std::string &part, const std::string &path) {{ bigm::check(::{0}_load_part(&handle_, part.c_str(), path.c_str())); }}
  void save(const std::string &path) const {{ bigm::check(::{0}_save(&handle_, path.c_str())); }}
  /// Initial weights under another seed.
  void init(int64_t seed) {{
    handle_.seed = seed;
    handle_.step = 0;
)",
                                stem, manifest.value("compiler", "bigmc"), targetsOf(manifest), upper(stem),
                                flows ? "#include <bigm/flow.hpp>\n#include <map>\n#include <memory>\n" : "",
                                flows ? "    size_t slash = weights.rfind('/');\n    share_ = slash == std::string::npos ? \".\" : weights.substr(0, slash);\n" : "",
                                flows ? ", share_(std::move(other.share_)), flows_(std::move(other.flows_))" : "",
                                flows ? "    std::swap(share_, other.share_);\n    std::swap(flows_, other.flows_);\n" : "",
                                flows ? "    other.share_ = share_;\n" : "", flows ? "    flows_.clear();\n" : "");
  for (const json &train : manifest.at("trains"))
    out += fmt::format("    bigm::check(::bigm_init(handle_.context, \"{}\", seed));\n", train.at("name").get<std::string>());
  out += R"(  }
  /// How many training steps there will be, for learning-rate schedules; counts from step 0 again.
  void plan(int64_t steps) {
    handle_.step = 0;
    handle_.steps = steps;
  }
  int64_t step() const { return handle_.step; }

)";
  for (const Signature &s : signaturesOf(manifest))
    out += cppFunction(stem, s) + "\n";
  out += text.functions;
  out += fmt::format(R"(private:
  struct Empty {{}};
  explicit Model(Empty) {{}}
{2}  ::{0}_model handle_{{}};
{3}}};

}} // namespace {0}
#endif // {1}_HPP
)",
                     stem, upper(stem),
                     flows ? text.readers + R"(  bigm::FlowHandle &flow(const char *name) {
    std::unique_ptr<bigm::FlowHandle> &known = flows_[name];
    if (!known)
      known = std::make_unique<bigm::FlowHandle>(handle_.module, handle_.model, handle_.context, name, share_.c_str());
    return *known;
  }
)"
                           : "",
                     flows ? "  std::string share_;\n  std::map<std::string, std::unique_ptr<bigm::FlowHandle>> flows_; // gone before what they look at\n" : "");
  return out;
}

} // namespace bigm::artifact
