// The command line of bigmc: what each command takes, and nothing of what it does.
#include "Bug.h"
#include "Commands.h"
#include "Targets.h"
#include <CLI/CLI.hpp>
#include <iostream>

using namespace bigm::tool;

namespace {
/// Every command's help ends with an example that can be pasted.
CLI::App *command(CLI::App &app, const std::string &name, const std::string &what, const std::string &example) {
  CLI::App *c = app.add_subcommand(name, what);
  c->footer("\nExample:\n  " + example);
  return c;
}
/// Of commands that answer: which flow, and where its weights are.
template <class Options> void addAnswering(CLI::App *c, Options &o) {
  c->add_option("--flow", o.flow, "the flow that answers; the last one when left out");
  c->add_option("--run", o.run, "a finished training; not needed where all weights come from files");
  c->add_option("--data", o.data, "where weights lie that the program names, besides its own folder");
}
void addData(CLI::App *c, ProgramOptions &o) {
  c->add_option("--data", o.data, "where files lie that the program names, besides its own folder");
}
void addProgram(CLI::App *c, ProgramOptions &o, bool sets = true) {
  c->add_option("FILE", o.file, "the program, a .bigm file")->required();
  if (sets)
    c->add_option("--set", o.sets,
                  "replace one value of the program, e.g. train.digit_model.all.epochs=2; may stand several times")
        ->type_name("PATH=VALUE")
        ->allow_extra_args(false);
}
/// `library`: takes several targets, and those of the program's `deploy` when left out.
void addCode(CLI::App *c, CodeOptions &code, bool library = false) {
  std::string what = "cpu:host, cpu:x86-64-v2, cpu:x86-64-v3, cpu:x86-64-v4 or a processor, e.g. cpu:sapphirerapids; ";
  what += library ? "several, with commas, make a library that picks on the machine where it runs. When left out, the "
                    "targets of `deploy`"
                  : "this machine when left out";
  auto *target = c->add_option("--target", code.targets, what)
                     ->type_name(library ? "TARGET,..." : "TARGET")
                     ->delimiter(',')
                     ->allow_extra_args(false)
                     ->check(CLI::Validator(targetError, ""))
                     ->envname("BIGM_TARGET");
  if (!library)
    target->expected(1);
  c->add_option("--tuning", code.tuning, "blocks that `bigmc tune` found for this target and processor; of no effect for others");
  c->add_flag("--no-cache", code.noCache,
              "make all code anew; otherwise what was made before is taken from $BIGM_CACHE_DIR (default ~/.cache/bigmc)");
}
/// In commands that run what was trained.
void addPrecision(CLI::App *c, CodeOptions &code, const char *otherwise = "what `deploy` says") {
  c->add_option("--precision", code.precision, std::string("how weights are kept: f32, bf16, f16 or int8; when left out ") + otherwise)
      ->check(CLI::IsMember({"f32", "bf16", "f16", "int8"}));
}
/// In commands that show code, of training too.
void addShownPrecision(CLI::App *c, CodeOptions &code) {
  addPrecision(c, code, "f32");
  c->add_option("--deploy", code.deploy, "as this `deploy` ships its weights")->excludes("--precision");
}
void addSizes(CLI::App *c, CodeOptions &code) {
  c->add_option("--size", code.sizes, "an open size of the function, e.g. N=128; 32 when left out")
      ->type_name("NAME=SIZE")
      ->allow_extra_args(false)
      ->check([](const std::string &text) {
        size_t equal = text.find('=');
        std::string number = equal == std::string::npos ? "" : text.substr(equal + 1);
        bool good = equal > 0 && !number.empty() && number.size() < 10 && number[0] != '0' &&
                    number.find_first_not_of("0123456789") == std::string::npos;
        return good ? std::string() : "`" + text + "` is not NAME=SIZE, e.g. N=128";
      });
}
void addMemory(CLI::App *c, std::string &memory) {
  c->add_option("--memory", memory, "write the memory plan as a picture: one HTML file, no network");
}
/// In commands that run one function with random inputs.
void addMeasured(CLI::App *c, std::string &function, double &seconds, const char *howLong) {
  c->add_option("--function", function, "the function, or the start of its name; the one with the most work when left out");
  c->add_option("--seconds", seconds, howLong)->capture_default_str()->check(CLI::Range(0.0, 3600.0));
}
void addThreads(CLI::App *c, int &threads) {
  c->add_option("--threads", threads, "threads to use; all cores when 0 or left out. Results do not depend on it")
      ->check(CLI::Range(0, 4096));
}
/// CLI11 takes `[1, 2]` as a list of two arguments; a mark in front keeps it one, JSON or text.
struct KeptBrackets {
  static constexpr char mark = '\x01';
  std::vector<std::string> texts;
  std::vector<const char *> arguments;
  KeptBrackets(int argc, char **argv) : texts(argv, argv + argc) {
    for (std::string &text : texts) {
      if (text.starts_with('[') && text.ends_with(']'))
        text.insert(text.begin(), mark);
      arguments.push_back(text.c_str());
    }
  }
  static void restore(std::vector<std::string> &values) {
    for (std::string &value : values)
      if (value.starts_with(mark))
        value.erase(value.begin());
  }
};

} // namespace

int main(int argc, char **argv) {
  catchBugs(argc, argv);
  CLI::App app("bigmc compiles, trains and ships composite models written in bigm.\n\n"
               "Exit codes: 0 done, 1 an error in what you gave, 2 wrong usage, 3 a gate of `require` failed,\n"
               "70 a bug of bigmc.");
  app.set_version_flag("--version", BIGM_VERSION);
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "print the help of all commands");

  ProgramOptions checkOptions;
  auto *checkCommand = command(app, "check", "find all errors of a program before any data is read",
                               "bigmc check examples/digits/digits.bigm");
  addProgram(checkCommand, checkOptions);
  addData(checkCommand, checkOptions);

  FormatOptions formatOptions;
  auto *formatCommand = command(app, "fmt", "format programs in place", "bigmc fmt --check examples/digits/digits.bigm");
  formatCommand->add_option("FILE", formatOptions.files, "programs to format")->required();
  formatCommand->add_flag("--check", formatOptions.check, "write nothing; exit 1 and name the files that would change");

  TrainOptions trainOptions;
  auto *trainCommand = command(app, "train", "run every `train` of a program in its phases",
                               "bigmc train examples/digits/digits.bigm --data ../shared/data/mnist --out runs/digits");
  addProgram(trainCommand, trainOptions.program);
  trainCommand->add_option("--data", trainOptions.data, "folder that the program's file names start from")->required();
  trainCommand->add_option("--out", trainOptions.run,
                           "the run: weights, fitted values, optimiser state, metrics.jsonl, run.json, report.html")
      ->required();
  trainCommand->add_flag("--resume", trainOptions.resume, "go on where an interrupted run stopped, to the same bits");
  trainCommand->add_option("--frozen-memory", trainOptions.frozenMemory,
                           "most MB for what frozen parts give, which is computed once for each record and kept; 0 computes it in every "
                           "epoch; a quarter of the memory when left out")
      ->check(CLI::Range(0.0, 1e9));
  trainCommand->add_flag("--quiet", trainOptions.quiet, "no moving bar: a line for each epoch alone");
  addThreads(trainCommand, trainOptions.threads);
  addCode(trainCommand, trainOptions.code);

  EvalOptions evalOptions;
  auto *evalCommand = command(app, "eval", "run every `evaluate` of a program and check its gates",
                              "bigmc eval examples/digits/digits.bigm --run runs/digits --data ../shared/data/mnist");
  addProgram(evalCommand, evalOptions.program);
  evalCommand->add_option("--run", evalOptions.run, "a finished training; where flows with weights of others are measured there need not be one");
  evalCommand->add_option("--data", evalOptions.data, "folder that the program's file names start from")->required();
  evalCommand->add_flag("--json", evalOptions.json, "one JSON object on standard output");
  addThreads(evalCommand, evalOptions.threads);
  addCode(evalCommand, evalOptions.code);
  addPrecision(evalCommand, evalOptions.code);

  PredictOptions predictOptions;
  auto *predictCommand = command(app, "predict", "answer for inputs of your own, one line each",
                                 "bigmc predict examples/digits/digits.bigm --run runs/digits three.png seven.png");
  addProgram(predictCommand, predictOptions.program);
  predictCommand->add_option("INPUT", predictOptions.inputs,
                             "texts (`-`: a line each from standard input), pictures, folders of them or JSON for a flow; pictures (PNG, JPEG), arrays "
                             "(.npy) or texts for a model")->required();
  addAnswering(predictCommand, predictOptions);
  predictCommand->add_option("--draw", predictOptions.draw, "draw what a flow finds onto its image: a PNG file, or a folder for several inputs");
  predictCommand->add_flag("--json", predictOptions.json, "one JSON object a line");
  addThreads(predictCommand, predictOptions.threads);
  addCode(predictCommand, predictOptions.code);
  addPrecision(predictCommand, predictOptions.code);

  BenchOptions benchOptions;
  auto *benchCommand = command(app, "bench", "how a flow serves: latencies and answers a second, with one client or several",
                               "bigmc bench examples/faces/faces.bigm --data ../shared/data photo.jpg --seconds 10 --clients 2");
  addProgram(benchCommand, benchOptions.program);
  benchCommand->add_option("INPUT", benchOptions.inputs, "what the clients ask, in turn; as for `predict`")->required();
  addAnswering(benchCommand, benchOptions);
  benchCommand->add_option("--seconds", benchOptions.seconds, "how long to ask")->capture_default_str()->check(CLI::Range(0.01, 86400.0));
  benchCommand->add_option("--clients", benchOptions.clients, "how many ask at the same time; they share the threads")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  benchCommand->add_flag("--json", benchOptions.json, "one JSON object on standard output");
  addThreads(benchCommand, benchOptions.threads);
  addCode(benchCommand, benchOptions.code);
  addPrecision(benchCommand, benchOptions.code);

  BuildOptions buildOptions;
  auto *buildCommand = command(app, "build", "make a native library with C and C++ headers",
                               "bigmc build examples/digits/digits.bigm --run runs/digits -o lib/digits");
  addProgram(buildCommand, buildOptions.program);
  buildCommand->add_option("--run", buildOptions.run, "a finished training, for its weights; initial weights without it");
  buildCommand->add_option("--data", buildOptions.data, "where weights lie that the program names, besides its own folder");
  buildCommand->add_option("-o,--out", buildOptions.out, "folder to write: include, lib, share, manifest.json; with --format onnx the file")
      ->required();
  buildCommand->add_option("--format", buildOptions.format,
                           "library, or onnx: the model with its weights as one file that ONNX Runtime runs")
      ->capture_default_str()
      ->check(CLI::IsMember({"library", "onnx"}));
  buildCommand->add_option("--function", buildOptions.function,
                           "what --format onnx writes: a model, or a function such as digit_model.predict; the program's one "
                           "model when left out");
  addCode(buildCommand, buildOptions.code, /*library=*/true);
  addPrecision(buildCommand, buildOptions.code);
  buildCommand->add_flag("--explain", buildOptions.code.explain,
                         "print every kernel: the lines it fuses, its work, its estimated time, why it is one of its own");
  addSizes(buildCommand, buildOptions.code);
  addMemory(buildCommand, buildOptions.memory);

  ProfileOptions profileOptions;
  auto *profileCommand = command(app, "profile", "run a function of a program and say which line costs most",
                                 "bigmc profile examples/digits/digits.bigm --function digit_model.all.step --size N=128");
  addProgram(profileCommand, profileOptions.program);
  addData(profileCommand, profileOptions.program);
  profileCommand->add_option("--run", profileOptions.run, "a finished training, for its weights; initial ones without it");
  addMeasured(profileCommand, profileOptions.function, profileOptions.seconds, "how long to measure");
  profileCommand->add_flag("--json", profileOptions.json, "one JSON object on standard output");
  profileCommand->add_flag("--least", profileOptions.least, "the least time of each kernel in place of its median: on a machine that others use too");
  addThreads(profileCommand, profileOptions.threads);
  addCode(profileCommand, profileOptions.code);
  addShownPrecision(profileCommand, profileOptions.code);
  addSizes(profileCommand, profileOptions.code);
  addMemory(profileCommand, profileOptions.memory);

  TuneOptions tuneOptions;
  auto *tuneCommand = command(app, "tune", "measure which blocks of its contractions make a function fastest on this machine",
                              "bigmc tune examples/zoo/resnet50.bigm --size N=1 -o resnet50.tuning.json");
  addProgram(tuneCommand, tuneOptions.program);
  addData(tuneCommand, tuneOptions.program);
  addMeasured(tuneCommand, tuneOptions.function, tuneOptions.seconds, "how long to measure each try, of 20 to 60");
  tuneCommand->add_option("-o,--out", tuneOptions.out, "the file to write, JSON; `--tuning` of other commands takes it")->required();
  addThreads(tuneCommand, tuneOptions.threads);
  addCode(tuneCommand, tuneOptions.code);
  addShownPrecision(tuneCommand, tuneOptions.code);
  addSizes(tuneCommand, tuneOptions.code);

  ImportOptions importOptions;
  auto *importCommand = command(app, "import", "write an ONNX file as a program, with its weights beside it as safetensors",
                                "bigmc import resnet18.onnx -o resnet18.bigm");
  importCommand->add_option("FILE", importOptions.file, "the model, an .onnx file")->required();
  importCommand->add_option("-o,--out", importOptions.out, "the program to write; its weights go to the same name with .safetensors")
      ->required();

  EmitOptions emitOptions;
  auto *emitCommand = command(app, "emit", "show what the compiler makes of a program, at any stage",
                              "bigmc emit examples/digits/digits.bigm --stage grad --model digit_model.all.step");
  addProgram(emitCommand, emitOptions.program);
  addData(emitCommand, emitOptions.program);
  emitCommand->add_option("--stage", emitOptions.stage, "ast, types, ir, grad, fused, lowered, llvm or asm")
      ->capture_default_str()
      ->check(CLI::IsMember({"ast", "types", "ir", "grad", "fused", "lowered", "llvm", "asm"}));
  emitCommand->add_option("--model", emitOptions.model, "only functions whose name starts with this");
  addCode(emitCommand, emitOptions.code);
  addShownPrecision(emitCommand, emitOptions.code);

  try {
    KeptBrackets kept(argc, argv);
    app.parse(argc, kept.arguments.data());
    kept.restore(predictOptions.inputs);
    kept.restore(benchOptions.inputs);
  } catch (const CLI::ParseError &e) {
    // CLI11 prints help and version itself and calls them code 0.
    return app.exit(e) == 0 ? Done : WrongUsage;
  }
  try {
    if (*checkCommand)
      return check(checkOptions);
    if (*formatCommand)
      return format(formatOptions);
    if (*trainCommand)
      return train(trainOptions);
    if (*evalCommand)
      return eval(evalOptions);
    if (*predictCommand)
      return predict(predictOptions);
    if (*benchCommand)
      return bench(benchOptions);
    if (*buildCommand)
      return build(buildOptions);
    if (*profileCommand)
      return profile(profileOptions);
    if (*tuneCommand)
      return tune(tuneOptions);
    if (*importCommand)
      return importModel(importOptions);
    return emit(emitOptions);
  } catch (const std::bad_alloc &) {
    return userError("out of memory");
  } catch (const std::exception &e) {
    return bug(e.what());
  }
}
