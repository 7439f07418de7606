#include "Signature.h"
#include <map>
#include <set>

namespace bigm::artifact {
namespace {
using nlohmann::json;

const std::map<std::string, std::string> kCTypes = {
    {"f32", "float"},   {"f64", "double"},  {"i64", "int64_t"}, {"i32", "int32_t"}, {"u8", "uint8_t"},
    {"i8", "int8_t"},   {"bool", "uint8_t"}, {"bf16", "uint16_t"}, {"f16", "uint16_t"}};

// Words of C and C++, of the headers that come along, and the names inside a generated function.
const std::set<std::string> kReserved = {
    "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "class",
    "compl", "concept", "const", "consteval", "constexpr", "constinit", "const_cast", "continue", "decltype", "default",
    "delete", "do", "double", "dynamic_cast", "else", "enum", "explicit", "export", "extern", "false", "float", "for",
    "friend", "goto", "if", "inline", "int", "long", "mutable", "namespace", "new", "noexcept", "not", "not_eq", "nullptr",
    "operator", "or", "or_eq", "private", "protected", "public", "register", "reinterpret_cast", "requires", "restrict",
    "return", "short", "signed", "sizeof", "static", "static_assert", "static_cast", "struct", "switch", "template", "this",
    "thread_local", "throw", "true", "try", "typedef", "typeid", "typename", "union", "unsigned", "using", "virtual", "void",
    "volatile", "wchar_t", "while", "xor", "xor_eq", "NULL", "linux", "unix", "errno", "stdin", "stdout", "stderr",
    "self", "call", "status", "dims", "inputs", "outputs", "result", "handle_", "memset", "bigm", "std", "Model",
    "open", "close", "fork", "model", "load", "save", "init", "plan", "step"};

std::string text(const json &dim) { return dim.is_string() ? dim.get<std::string>() : dim.dump(); }

Parameter parameter(const json &arg) {
  Parameter p;
  p.name = arg.at("name");
  p.c = identifier(p.name);
  std::string dtype = arg.at("dtype");
  p.ctype = kCTypes.at(dtype);
  p.shape = dtype;
  for (const json &dim : arg.at("shape")) {
    p.shape += (p.dims.empty() ? "[" : ", ") + text(dim);
    // Symbols are parameters of type int64_t; an expression of them needs its parentheses.
    p.dims.push_back(dim.is_string() && dim.get<std::string>().find_first_of("+-*/ ") != std::string::npos
                         ? "(" + text(dim) + ")"
                         : text(dim));
    p.count += (p.count.empty() ? "" : " * ") + p.dims.back();
  }
  if (p.dims.empty())
    p.count = "1";
  else
    p.shape += "]";
  if (arg.contains("classes") && arg["classes"].is_number() && arg["classes"] > 0)
    p.unit = "class number, 0 to " + std::to_string(arg["classes"].get<int64_t>() - 1);
  else if (dtype == "u8")
    p.unit = "0 to 255";
  return p;
}
} // namespace

std::string identifier(const std::string &text) {
  std::string out;
  for (unsigned char c : text)
    out += std::isalnum(c) ? static_cast<char>(c) : '_';
  if (out.empty() || std::isdigit(static_cast<unsigned char>(out[0])))
    out = "_" + out;
  if (kReserved.count(out))
    out += "_";
  return out;
}

std::vector<Signature> signaturesOf(const json &manifest) {
  std::map<std::string, int> indexOf;
  const json &functions = manifest.at("functions");
  for (size_t i = 0; i < functions.size(); ++i)
    indexOf[functions[i].at("name")] = static_cast<int>(i);

  std::vector<Signature> all;
  std::set<std::string> taken;
  auto add = [&](const std::string &function, const std::string &cName, const std::string &what, bool trains = false) -> bool {
    auto found = indexOf.find(function);
    if (function.empty() || found == indexOf.end())
      return false;
    const json &f = functions[found->second];
    Signature s;
    s.index = found->second;
    s.name = function;
    s.what = what;
    s.trains = trains;
    s.c = identifier(cName);
    while (!taken.insert(s.c).second)
      s.c += "_";
    s.symbols = f.at("symbols").get<std::vector<std::string>>();
    std::set<std::string> names(s.symbols.begin(), s.symbols.end());
    for (const json &arg : f.at("args")) {
      std::string role = arg.at("role");
      s.seed |= role == "seed";
      s.step |= role == "step" || role == "steps";
      if (role != "input" && role != "output")
        continue;
      Parameter p = parameter(arg);
      // An output may be called as an input is; C wants them apart.
      while (!names.insert(p.c).second)
        p.c += role == "output" ? "_out" : "_";
      (role == "input" ? s.inputs : s.outputs).push_back(p);
    }
    if (s.symbols.size() == 1 && !s.inputs.empty() && !s.inputs[0].dims.empty() && s.inputs[0].dims[0] == s.symbols[0])
      s.batch = s.symbols[0];
    all.push_back(std::move(s));
    return true;
  };

  // A program with one train needs no name in front.
  const json &trains = manifest.at("trains");
  for (const json &train : trains) {
    std::string name = train.at("name"), front = trains.size() == 1 ? "" : name + "_";
    add(train.at("forward"), front + "forward", "The model `" + name + "` on a batch, as in production.");
    add(train.at("predict"), front + "predict", "Decoded answers of `" + name + "`: for each head the class and its score.");
    for (const json &phase : train.at("phases")) {
      const std::string phaseName = phase.at("name");
      const int64_t batches = phase.value("accumulate", int64_t(1));
      add(phase.at("step"), front + "train_step_" + phaseName,
          "One step of phase `" + phaseName + "`: forward, backward, optimiser, in place." +
              (batches > 1 ? " It takes the last batch of a step, which the program makes of " + std::to_string(batches) + "; `train_gather_" + phaseName + "` takes those before." : ""),
          /*trains=*/true);
      if (add(phase.value("gather", std::string()), front + "train_gather_" + phaseName,
              "Forward and backward of a batch of phase `" + phaseName + "`, whose gradients wait for the next step."))
        all.back().gathers = true;
    }
  }
  const json &evaluates = manifest.at("evaluates");
  for (const json &evaluate : evaluates) {
    std::string front = evaluates.size() == 1 ? "" : evaluate.at("name").get<std::string>() + "_";
    add(evaluate.at("begin"), front + "evaluate_begin", "Sets the metrics back before an evaluation.");
    add(evaluate.at("step"), front + "evaluate", "Adds a batch to the metrics and gives them over all batches so far.");
  }
  const json &data = manifest.at("data");
  for (const json &d : data)
    add(d.at("prepare"), data.size() == 1 ? "prepare" : "prepare_" + d.at("name").get<std::string>(),
        "Raw fields of `" + d.at("name").get<std::string>() + "` to what the model takes, as in training.");
  return all;
}

} // namespace bigm::artifact
