// The checker: evaluates a program on symbolic shapes and records what happens to tensors.
//
// One mechanism for models, functions, optimisers, metrics, schedules, initialisers and fits: calling one evaluates its
// body, and the operations land in the Recorder of the function being built. The parts stand in files by idea:
//   Check.cpp      all declarations of a file, in which order       Modules.cpp    `use`, where declarations are found
//   Expr.cpp       expressions                                      Names.cpp      what a name stands for
//   Statements.cpp blocks and assignments                           Pointwise.cpp  arithmetic and broadcasting
//   Calls.cpp      arguments, settings, application                 Models.cpp     instances, param and state
//   Types.cpp      written types                                    Bind.cpp       values against them
//   IndexNotation.cpp  y[i, j] = sum(k: ...)                        Indexing.cpp   slices
//   Builtins*.cpp  the operations a program can call                Overrides.cpp  `--set`
//   Data.cpp Fit.cpp Train.cpp Evaluate.cpp Deploy.cpp Flows.cpp    a kind of declaration each
//   Phases.cpp     what a phase of a training changes and its step  Optimizers.cpp by which optimiser
#pragma once
#include "Builtin.h"
#include "Recorder.h"
#include "frontend/Diagnostics.h"
#include "frontend/Frontend.h"
#include <span>
#include <functional>

namespace bigm::sema {

/// What the loss reveals: which logits answer which label field, and the first library call's inputs.
struct LossPairs {
  struct Head {
    std::string label;
    Val logits;
  };
  std::vector<Head> heads;
  std::vector<Val> firstInputs;
  size_t depth = 0; // calls that are under way where the loss stands
};

/// Which parts of a model a phase changes.
struct Learning {
  std::string root;                         // the trained model, `digit_model`
  std::vector<std::string> frozen, learned; // paths from the model, whole ones of other instances; `learned` empty: all
  bool frozenPath(const std::string &path) const;
  /// The same of a whole name: `digit_model.stem.conv2d.weight`.
  bool frozenName(const std::string &name) const;
};

/// Where the states of a fn live while it runs.
struct Owner {
  std::string prefix; // "digit_model.stem.conv2d.weight/"
  TensorDecl::Kind kind = TensorDecl::Kind::Slot;
  std::map<std::string, int> used;
  bool entered = false; // a fn with states runs in it
};

class Checker {
public:
  Checker(SourceManager &sources, Diagnostics &diags, Program &program, const Overrides &overrides);
  /// Loads the program at `path` with all it uses; null after an error.
  Module *load(const std::string &path);
  void check(Module &main);
  void checkAll(Module &main);

  // ------------------------------------------------------------ errors
  Diagnostic &error(Diag id, SourceRange where, std::vector<std::string> args = {});
  Val fail(Diag id, SourceRange where, std::vector<std::string> args = {}, std::string hint = "");
  static void note(Diagnostic &d, SourceRange where, std::string text);
  std::string source(SourceRange where) const { return std::string(sources.text(where)); }
  std::string describe(const Val &v) const; // "f32[N, 64]", "a number", ...

  // ------------------------------------------------------------ modules
  Module *loadModule(const std::string &name, SourceRange where, const std::string &folder);
  void addUses(Module &m, const std::string &folder);
  struct Found {
    const ast::Decl *decl = nullptr;
    Module *module = nullptr;
  };
  Found findDecl(const std::string &name, Module *from);
  std::vector<std::string> visibleNames(const ScopePtr &scope) const;

  // ------------------------------------------------------------ expressions and statements
  Val eval(const ast::Expr &e, const ScopePtr &scope);
  Val evalRef(const ast::RefExpr &e, const ScopePtr &scope);
  Val evalNumber(const ast::NumberExpr &e);
  Val evalMember(const ast::MemberExpr &e, const ScopePtr &scope);
  Val evalBinary(const ast::BinaryExpr &e, const ScopePtr &scope);
  Val evalWhen(const ast::WhenExpr &e, const ScopePtr &scope);
  Val evalRepeat(const ast::RepeatExpr &e, const ScopePtr &scope);
  Val evalScan(const ast::ScanExpr &e, const ScopePtr &scope);
  Val evalRecord(const ast::RecordExpr &e, const ScopePtr &scope);
  Val evalBlock(const ast::Block &b, const ScopePtr &scope);
  void evalAssign(const ast::AssignStmt &s, const ScopePtr &scope);
  void assign(const ast::Name &name, Val value, const ScopePtr &scope);
  Val evalConst(const ast::ConstDecl &d, Module *m);
  Val declValue(const Found &found, SourceRange where);
  std::optional<int64_t> wholeNumber(const Val &v, SourceRange where, const std::string &what);
  std::optional<double> plainNumber(const Val &v, SourceRange where, const std::string &what);
  Val unsupported(const std::string &construct, SourceRange where, const std::string &hint = "");

  // ------------------------------------------------------------ arithmetic
  Val pointwise(Op op, const std::vector<Val> &operands, SourceRange where, const std::string &what);
  Val foldNumbers(Op op, const std::vector<Val> &operands, SourceRange where, const std::string &what);
  /// The value as a tensor of the element type, for a tensor or a number.
  std::optional<Value> toTensor(const Val &v, Elem elem, SourceRange where);
  Val tensorVal(Value v);
  Val select(const Val &condition, const Val &a, const Val &b, SourceRange where);
  /// One pointwise op over operands of one shape: that of their letters in index notation, else broadcast.
  Val applyPointwise(Op op, Elem result, Elem elem, const std::vector<const Val *> &operands, SourceRange where,
                     const std::string &what);
  bool broadcastShape(const std::vector<const Val *> &tensors, std::vector<Dim> &shape, SourceRange where,
                      const std::string &what);
  Val castTo(Elem elem, const Val &v, SourceRange where);

  // ------------------------------------------------------------ calls
  Signature signature(const ast::CallableDecl &d) const;
  Val evalCall(const ast::CallExpr &e, const ScopePtr &scope, const Given *piped);
  Val apply(const Val &callee, const Args &args, SourceRange where, const std::string &calleeText);
  Val callDecl(const ast::CallableDecl &d, Module *m, const Args &args, SourceRange where, bool piped);
  ScopePtr bindSettings(const ast::CallableDecl &d, Module *m, const std::vector<const ast::Parameter *> &settings,
                        const std::map<std::string, Given> &given, SourceRange where);
  Val applyInputs(const ast::CallableDecl &d, Module *m, const ScopePtr &settings, const Args &inputs, SourceRange where,
                  const std::shared_ptr<Instance> &instance);
  Val applyModel(const std::shared_ptr<Instance> &instance, const Args &inputs, SourceRange where);
  void notePairs(const Signature &sig, const std::vector<const Given *> &inputs);
  Val callBuiltin(const Builtin &b, const Args &args, SourceRange where);
  bool fitsInput(const Val &v, const ast::Parameter &p) const;
  Args evalArguments(const std::vector<ast::Argument> &list, const ScopePtr &scope, const ast::CallableDecl *callee);
  ScopePtr globalScope(Module *m);

  // ------------------------------------------------------------ models
  std::shared_ptr<Instance> makeInstance(const ast::CallableDecl &d, Module *m, ScopePtr settings, SourceRange where);
  std::string freshName(std::map<std::string, int> &used, const std::string &base) const;
  void declareParam(const ast::ParamStmt &s, const ScopePtr &scope);
  int tensorFor(const std::string &name, TensorDecl::Kind kind, const TensorType &type, const ast::ParamStmt &s,
                const ScopePtr &scope, int existing);
  Val tensorValue(int index);
  /// In the function being built: the initial value of a persistent tensor.
  std::optional<Value> initialValue(int index);
  /// A parameter or a part of an instance; one that nothing has applied so far is applied to what its inputs are declared as.
  Val memberOfInstance(const std::shared_ptr<Instance> &instance, const ast::Name &member);

  // ------------------------------------------------------------ types
  Pattern resolve(const ast::Type &type, const ScopePtr &scope, bool mayBeFree);
  /// `label[posts.intent]`: the classes of a field. False where the expression names no data; Invalid after an error.
  bool classesOfField(const ast::Expr &e, const ScopePtr &scope, Pattern &out);
  std::optional<Dim> resolveDim(const ast::Expr &e, const ScopePtr &scope, bool mayBeFree);
  std::optional<TensorType> concrete(const Pattern &p, SourceRange where);
  Val bind(const Pattern &p, const Given &arg, const Target &target, Matching &m);
  void bindTensor(const Pattern &p, const TensorType &actual, const Given &arg, const Target &target, Matching &m, bool &ok);
  bool settleDeferred(Matching &m);
  void publish(const Matching &m); // fixed names become ints of the scope

  // ------------------------------------------------------------ index notation
  struct IndexEnv;
  bool isLetterCall(const ast::CallExpr &e, const ScopePtr &scope);
  Val evalIndexed(const ast::AssignStmt &s, const ScopePtr &scope);
  Val evalLetterCall(const ast::CallExpr &e, const ScopePtr &scope);
  Val reduceLetters(const ast::CallExpr &e, const ScopePtr &scope);
  Val evalAccess(const ast::IndexExpr &e, const ScopePtr &scope);
  /// The elements of the table at ids, each of which picks along a dimension of its own: over these letters, then over the
  /// dimensions that are left.
  Val lookUpAll(Value table, const std::vector<size_t> &dims, const std::vector<Val> &ids, const std::vector<Letter *> &letters);
  std::optional<Val> letterValue(const std::string &name);
  Val alignLetters(const Val &v, const std::vector<Letter *> &letters);
  Val indexedCall(const std::function<Val(const Args &)> &call, const Args &args, SourceRange where,
                  const std::string &what);
  Val evalIndex(const ast::IndexExpr &e, const ScopePtr &scope);

  // ------------------------------------------------------------ builtins
  const Builtin *findBuiltin(const std::string &name) const;
  std::vector<std::string> builtinNames() const;
  Val builtinPointwise(const BuiltinCall &), builtinSelect(const BuiltinCall &), builtinCast(const BuiltinCall &);
  Val builtinSum(const BuiltinCall &), builtinMean(const BuiltinCall &), builtinProd(const BuiltinCall &);
  Val builtinMax(const BuiltinCall &), builtinMin(const BuiltinCall &), builtinArgMax(const BuiltinCall &),
      builtinArgMin(const BuiltinCall &);
  Val builtinReshape(const BuiltinCall &), builtinMerge(const BuiltinCall &), builtinTranspose(const BuiltinCall &);
  Val builtinConcat(const BuiltinCall &), builtinStack(const BuiltinCall &), builtinPad(const BuiltinCall &);
  Val builtinBroadcast(const BuiltinCall &), builtinFull(const BuiltinCall &), builtinLike(const BuiltinCall &);
  Val builtinIota(const BuiltinCall &), builtinRandom(const BuiltinCall &), builtinRandomLike(const BuiltinCall &);
  Val builtinGather(const BuiltinCall &), builtinScatterAdd(const BuiltinCall &), builtinAttend(const BuiltinCall &);
  Val builtinWarp(const BuiltinCall &), builtinResize(const BuiltinCall &);
  Val builtinTokens(const BuiltinCall &), builtinLengths(const BuiltinCall &), builtinPresent(const BuiltinCall &);
  Val builtinTokenizer(const BuiltinCall &), builtinPieces(const BuiltinCall &), builtinStarts(const BuiltinCall &);
  /// The settings at_most, length and special of `tokens` and `pieces`, arguments 2 to 4, and `around` of `tokens`, the fifth;
  /// nothing after an error.
  struct TokenLimits {
    int64_t atMost = 0, length = 0; // 0: not given
    bool special = true;
    std::string around; // what stands around a text, which is its `{}`
  };
  std::optional<TokenLimits> tokenLimits(const BuiltinCall &);
  bool needTokenizer(const Given &by, const std::string &what);
  std::optional<int64_t> countSetting(const Given *arg, const std::string &what);
  Val builtinGradient(const BuiltinCall &), builtinStopGradient(const BuiltinCall &);
  Val flowGenerate(const BuiltinCall &);
  Val flowTokens(const BuiltinCall &), flowPieces(const BuiltinCall &), flowLengths(const BuiltinCall &), builtinBest(const BuiltinCall &);
  bool isListOfTexts(const Val &v) const;
  void setOutside(Spec &settings) const;
  Val flowBeside(const BuiltinCall &);
  Val builtinSize(const BuiltinCall &), builtinRank(const BuiltinCall &), builtinFlip(const BuiltinCall &);
  Val evalEach(const ast::BinaryExpr &e, const ScopePtr &scope);
  Val reduceList(Op op, const BuiltinCall &call, bool mean);
  Val reduction(Op op, const BuiltinCall &call, size_t options, bool mean = false);
  Val builtinWindows(const BuiltinCall &), builtinAlong(const BuiltinCall &), builtinShape(const BuiltinCall &), builtinLead(const BuiltinCall &);
  std::optional<std::vector<int64_t>> axesOf(const Given *axis, size_t rank, const std::string &what);
  std::optional<std::vector<Dim>> dimsOf(const Val &v, SourceRange where, const std::string &what);
  bool needTensor(const Given *arg, const std::string &what);
  /// Puts the numbers that are given from argument `first` on into the settings; false after an error.
  bool readNumbers(const BuiltinCall &call, size_t first, std::span<const NumberSetting> numbers, Spec &settings);
  const TensorType &typeOf(const Given *arg) const { return arg->value.type; }

  // ------------------------------------------------------------ declarations
  struct Training;
  /// A `data` declaration and what is known of it.
  struct DataSet {
    const ast::DataDecl *decl = nullptr;
    Module *module = nullptr;
    size_t index = 0; // in Program::data
    bool ok = false;
    std::map<std::string, TensorType> batch; // raw and derived fields as a batch has them
    std::map<std::string, SourceRange> where;
    std::map<std::string, Dim> lists;             // raw fields that are lists -> how many elements the longest has
    std::map<std::string, std::string> hosts;     // field -> the loader's step that made it
    std::map<std::string, std::string> raggeds;   // name of a dimension -> the step whose longest row it is
  };
  DataSet *dataSet(const std::string &name, Module *m);
  /// The data that the expression names; null after an error at `where`.
  DataSet *namedData(const ast::Expr &e, SourceRange where, Module *m);
  void checkData(const ast::DataDecl &d, Module *m);
  bool readFields(DataSet &set, DataProgram &out);
  /// A field of numbers, a class or a picture of fixed size. Nothing after an error.
  std::optional<Field> readField(const ast::Name &name, const ast::Type &type, Module *m);
  bool readListField(DataSet &set, const ast::Name &name, const ast::ListType &type, Field &field);
  void readSplit(DataSet &set, DataProgram &out);
  std::optional<Spec> evalSpec(const ast::Expr &e, const ScopePtr &scope, const std::vector<Field> &fields);
  /// What stands where the data has nothing: `rooms: f32 = 0`.
  bool readMissing(const ast::Expr *value, const ast::Type &type, Field &field, Module *m);
  /// In the function being built: the fields of a batch, raw or prepared, as inputs.
  void bindRaw(DataSet &set, const ScopePtr &scope, bool labelsAreKnown);
  void bindPrepared(DataSet &set, const ScopePtr &scope);
  /// The fields of all sets of a training: by their names, with several sets also as SET.field, which is the only way where
  /// two have a field of one name.
  void bindSets(Training &t, const ScopePtr &scope);
  /// An input of the function being built that holds a field of a batch, or what the loader makes of one.
  Val fieldInput(size_t data, const std::string &name, TensorType type, SourceRange where);
  std::map<size_t, std::string> inputPrefixes; // of data sets, while a function reads several
  /// Evaluates derived fields in order; stops after `until` when it is given.
  void evalDerived(DataSet &set, const ScopePtr &scope, const std::string &until = "");
  void evalAugment(DataSet &set, const ScopePtr &scope);
  /// A list of the records: `cells.where` is [N, B, 4], B being as many as the longest list of the batch has.
  Val bindList(const DataSet &set, const Field &field);
  /// What `augment` makes of a list: of the same parts, each of its type. Poison after an error.
  Val changedList(const Val &before, Val after, const ast::AssignStmt &assign);
  /// Steps of the data loader on pictures, as `hostStep` does for flows.
  std::vector<Val> loaderStep(const std::string &op, const Val &image, Spec settings, const std::vector<RichType> &outputs,
                              SourceRange where);
  DataSet &dataSetOf(const Val &field);
  /// The size of the rows that a step of the loader makes; nothing after an error.
  std::optional<Dim> raggedLength(DataSet &set, const std::string &output, SourceRange where);
  /// The ids that a step of the loader makes of a text; the same step twice is one.
  Val idsOf(const Val &text, HostStep step, const Dim &length, SourceRange where);
  std::string openDimension(const DataSet &set, const ast::Type *type, const ScopePtr &scope);
  void readBucket(DataSet &set);
  struct FitResult {
    bool ok = false, record = false;
    std::vector<std::pair<std::string, int>> fields; // name -> persistent tensor
  };
  FitResult &checkFit(const ast::FitDecl &d, Module *m);
  /// `fit vocabulary = characters(data.train.field)` and `words(...)`; nothing when it is another fit.
  bool checkVocabulary(const ast::FitDecl &d, const ast::CallExpr &call, Module *m);
  std::map<const ast::FitDecl *, Val> vocabularies;
  std::vector<const ast::Expr *> windowsBy; // tokenizers that sources of the `data` being checked count windows by
  std::string raggedName; // what the type of the field being derived calls its open dimension
  Val fitValue(const ast::FitDecl &d, Module *m, SourceRange where);
  std::optional<Val> dataMember(const ast::MemberExpr &e, const ScopePtr &scope);
  void checkTrain(const ast::TrainDecl &d, Module *m);
  void checkEvaluate(const ast::EvaluateDecl &d, Module *m);
  void checkDeploy(const ast::DeployDecl &d, Module *m);
  bool deployModel(const ast::DeployDecl &d, Module *m, std::shared_ptr<Instance> &deployed);
  /// The instance that a `train` or `model name = ...` declares, once it is checked.
  std::shared_ptr<Instance> instanceOf(const ast::Decl &decl, Module *m);
  /// The functions that continue texts with a model (Incremental.h), once for each; false after an error.
  bool buildGeneration(const std::shared_ptr<Instance> &instance, const std::string &name, SourceRange where);
  void checkGeneric(const ast::CallableDecl &d, Module *m);
  Val symbolic(const ast::Parameter &p, const ScopePtr &scope);

  // ------------------------------------------------------------ training
  void checkClauses(const std::vector<ast::Clause> &clauses, const std::string &where,
                    const std::vector<std::string> &allowed, const std::vector<std::string> &repeated);
  static const ast::Clause *clause(const std::vector<ast::Clause> &list, const std::string &keyword);
  bool evalLets(Training &t, const ast::Clause *phase, const ScopePtr &scope);
  Val evalLoss(Training &t, const ast::Clause *phase, const ScopePtr &scope);
  /// Makes the losses of other phases, which a loss may name, known by their phases' names.
  bool bindLosses(Training &t, const ast::Clause &phase, const ast::Expr &loss, const ScopePtr &scope);
  bool probe(Training &t);
  void buildForward(Training &t);
  /// Whether gradients of `of` reach `by`; otherwise the operation in between that has none is an error. `what` names `of`.
  bool differentiable(Value of, const std::vector<Value> &by, const std::string &what);
  void keepIfFinite(Value loss);
  void buildStep(Training &t, const ast::Clause *phase, PhaseProgram &out);
  /// The function `PhaseProgram::estimate`, where the phase freezes states that are still as they began.
  void buildEstimate(Training &t, const ast::Clause *phase, const Learning &learns, PhaseProgram &out);
  void buildPredict(Training &t);
  /// Initial values of what is called `model.…`, and of the slots in `more`; those of an instance of its own stay out.
  void buildInit(const std::string &model, size_t index, const std::set<int> &more = {});
  /// What `instance` returns on `args`, as outputs of the function being built; `single` names a lone tensor.
  void applyAsOutputs(const std::shared_ptr<Instance> &instance, const Args &args, const std::string &single,
                      SourceRange where);
  void readPhase(Training &t, const ast::Clause *phase, PhaseProgram &out);
  void readStop(Training &t, const ast::Clause &c, PhaseProgram &out);
  /// Whether a training may change the tensor: its model's, or one of an instance that belongs to no training.
  bool learnable(const Training &t, const std::string &tensor) const;
  /// The parts that expressions name, relative to the model; `all` is no part unless the model has one called so.
  bool readPaths(Training &t, const std::vector<const ast::Expr *> &paths, bool all, std::vector<std::string> &out);
  void readKept(const ast::Clause &c, DeployProgram &deploy);
  void readCalibration(const ast::Expr &e, DeployProgram &deploy);
  /// The instance that `declaration name = Model(...)` makes; null after an error, which `needsModel` words.
  std::shared_ptr<Instance> rootInstance(const ast::Expr &model, const std::string &name, Module *m, Diag needsModel,
                                         const std::string &hint);
  std::shared_ptr<Instance> trainInstance(const ast::TrainDecl &d, Module *m, SourceRange where);
  std::optional<double> numberClause(const std::string &path, const ast::Clause *c, const ScopePtr &scope);
  const ast::Clause *clauseOf(const Training &t, const ast::Clause *phase, const char *keyword);
  std::optional<double> phaseNumber(const Training &t, const ast::Clause *phase, const std::string &keyword, const PhaseProgram &out, const ScopePtr &scope);
  /// One of the optimisers of an `optimize`, with `lr` clauses and overrides in its settings.
  Val optimizer(Training &t, const ast::Clause *phase, const ast::Clause &optimize, size_t index, const ScopePtr &scope);
  /// For each tensor the number of the optimiser that learns it; nothing after an error.
  std::optional<std::vector<size_t>> chooseOptimizers(Training &t, const ast::Clause &optimize,
                                                      const std::vector<std::string> &tensors);
  /// `optimize.lr` sets what an optimiser without braces is given, `optimize.adamw.lr` what any of that name is.
  static std::vector<std::string> overridePaths(const std::string &base, const std::string &optimizer,
                                                const std::string &setting, bool rest);
  // Gradients.cpp: what is learned and its gradients; sums of several batches; averages of what was learned.
  struct Learned {
    std::vector<int> tensors;
    std::vector<Value> weights, gradients;
  };
  std::optional<Learned> gradientsOf(Training &t, const ast::Clause *phase, Value loss, const Learning &learns, PhaseProgram &out);
  int slot(const std::string &name, const TensorType &type, SourceRange where);
  Value spread(Value number, const TensorType &type);
  void gather(Training &t, const ast::Clause *phase, Value loss, const Learning &learns, PhaseProgram &out);
  void joinGathered(Training &t, Learned &learned);
  void average(Training &t, const ast::Clause *phase, const std::vector<int> &tensors, PhaseProgram &out, const ScopePtr &scope);
  void applyOptimizer(Training &t, const ast::Clause *phase, Value loss, const Learning &learns, PhaseProgram &out,
                      const ScopePtr &scope);
  // ------------------------------------------------------------ models that ONNX files describe: OnnxModel.cpp
  struct OnnxModel;
  std::shared_ptr<Instance> onnxInstance(const ast::InstanceDecl &d, Module *m);
  /// Lets a file that says batch 1, as exporters write where nobody asked for more, take any batch, and one with fitted sizes
  /// (`4*H`) any known ones.
  static void anyBatch(Pattern &declared, const Val &given);
  /// The graph's outputs for inputs that stand in the scope under their names.
  Val applyOnnx(OnnxModel &model, const std::shared_ptr<Instance> &instance, const ScopePtr &scope, SourceRange where);
  // ------------------------------------------------------------ instances of their own: Instances.cpp
  std::shared_ptr<Instance> sharedInstance(const ast::InstanceDecl &d, Module *m);
  void checkInstance(const ast::InstanceDecl &d, Module *m);
  std::string unapplied; // the instance that is built alone, where nothing applies it
  bool isShared(const std::string &tensor) const; // belongs to such an instance
  bool isStored(const std::string &tensor) const; // and its values stand in a file
  void readSource(const ast::InstanceDecl &d, ModelSource &out);
  /// A program of its own for the instance `name`: what it computes from its inputs, sizes that no setting fixes being
  /// open, and its initial values.
  /// What an instance is given where it is built by itself: inputs as it was applied first, else as they are declared.
  Args ownInputs(const Instance &instance);
  /// The inputs of an imported model with the sizes that its file leaves open, where the graph can be evaluated so.
  std::optional<std::vector<TensorType>> openInputs(const Instance &instance) const;
  void buildAlone(const std::shared_ptr<Instance> &instance, const std::string &name, SourceRange where);
  std::string exprPath(const ast::Expr &e) const; // `stem.conv2d`, empty when it is no path

  // ------------------------------------------------------------ evaluation
  struct FlowEvaluation;
  /// `evaluate FLOW on DATA.split`, once the flow is checked: FlowEvaluate.cpp.
  void checkFlowEvaluate(const ast::EvaluateDecl &d, const ast::CallableDecl &flow, DataSet &set, const std::string &split);
  /// The data and split that an `evaluate` names; null after an error.
  DataSet *evaluatedOn(const ast::EvaluateDecl &d, Module *m, std::string &split);
  /// The data of `digits.valid`, or of `digits`, which leaves `split` as it is; null after saying what is wrong.
  DataSet *splitOf(const ast::Expr &e, Module *m, std::string &split);
  std::vector<std::function<void()>> flowEvaluates; // wait for their flows
  bool buildEvaluate(const ast::EvaluateDecl &d, Training &t, DataSet &set, EvaluateProgram &out);
  void readRequires(const ast::EvaluateDecl &d, EvaluateProgram &out, const std::map<std::string, std::string> &byText);
  /// `accuracy >= 0.99`; `override_` is the path of its bound for `--set`, up to the metric.
  std::optional<RequireProgram> readBound(const ast::Expr &e, const std::map<std::string, std::string> &byText, const std::string &override_);

  // ------------------------------------------------------------ flows: Flows.cpp
  struct FlowBuild;
  struct Within;
  void checkFlow(const ast::CallableDecl &d, Module *m);
  /// The value of one record's type as all records of a batch have it; its slots are called by `name`.
  Val flowInput(const std::string &name, const ast::Type &written, SourceRange where, const ScopePtr &scope, RichType &type);
  /// The input that has such a tensor for each row.
  Val flowRows(const std::string &name, const TensorType &one, SourceRange where);
  /// Keeps the slots of an input for it, whatever else is called so.
  void reserveSlots(const std::string &name, const ast::Type &written);
  Val flowTensorInput(const std::string &name, const ast::Type &written, SourceRange where, const ScopePtr &scope, RichType &type);
  bool flowResult(const Val &v, const ast::Type *declared, const ScopePtr &scope, SourceRange where,
                  const std::string &name, RichType &type);
  /// `settings`: what `bindFlowSettings` gave; null where the arguments still hold them.
  Val applyFlow(const ast::CallableDecl &d, Module *m, const Args &args, ScopePtr settings, SourceRange where);
  /// A scope with the settings of a flow: given ones, what `--set` says, fitted ones, defaults. Null after an error.
  ScopePtr bindFlowSettings(const ast::CallableDecl &d, Module *m, std::map<std::string, Given> given, SourceRange where);
  /// The persistent tensor of a setting that an `evaluate` fits; nothing where none does, -1 after an error.
  std::optional<int> fittedSetting(const ast::CallableDecl &d, Module *m, const ast::Parameter &p);
  void findSettingFits(Module &main);
  /// `fit sure = least(cost, accuracy >= 0.99)` of an `evaluate`; false after an error.
  bool readSettingFit(const ast::Clause &c, const ast::CallableDecl &flow, EvaluateProgram &out, const std::map<std::string, std::string> &byText);
  std::map<std::string, SourceRange> settingFits; // "verdict.sure" -> the clause that fits it
  std::map<std::string, int> fittedSettings;      // -> its tensor
  /// Records a step of the flow that is built; `outputs` are new slots with what they hold. The values, in order.
  std::vector<Val> hostStep(const std::string &op, const std::vector<Val> &inputs, Spec settings,
                            const std::vector<RichType> &outputs, SourceRange where);
  std::string slotOf(const Val &v);
  // Lists and branches: FlowSpaces.cpp.
  Val evalFor(const ast::ForExpr &s, const ScopePtr &scope);
  /// A `when` whose condition is a bool of each row: every branch runs on the rows that take it.
  Val evalFlowWhen(const Val &condition, const ast::WhenExpr &e, const ScopePtr &scope);
  Val evalWithin(size_t space, const ast::Block &block, const ScopePtr &scope, const std::string &name, const Val &element);
  /// A value of an outer space as each row of the present one has it.
  Val lifted(const Val &v, size_t from, SourceRange where);
  /// The rows of `v`, which has those of `from`, that `numbers` names, one for each row of the present space.
  Val takeRows(const Val &v, size_t from, const Val &numbers, SourceRange where);
  /// The same of a list (or a value that may be missing) that each of those rows has.
  Val takeLists(const Val &v, const Val &numbers, SourceRange where);
  /// One list of each row of the present space: the elements of `a`, then those of `b`, whose rows the numbers say.
  Val uniteLists(const Val &a, const Val &numbersA, const Val &b, const Val &numbersB, SourceRange where);
  /// One value whose rows come from two; each knows the numbers that its rows have in the present space.
  struct Side {
    Val value, numbers;
    size_t space;
  };
  Val mergeRows(const Side &a, const Side &b, SourceRange where);
  /// A branch alone: what the rows that do not take it lack.
  Val perhaps(const Side &side, SourceRange where);
  /// A value that may be missing inside of one that may be, as one.
  Val oneMissing(const Val &v, SourceRange where);
  /// One list of all elements that the elements of a list have, or one such value.
  Val flattened(const Val &list, SourceRange where);
  bool needElements(const Given *arg, const std::string &what);
  /// The value with one row for each row of the present space, where it is a number that is the same for all.
  Val perRow(const Val &v, SourceRange where, std::optional<Elem> elem = std::nullopt);
  /// Whose rows the variable's value has, where the scopes say that.
  static std::optional<size_t> spaceOf(const std::string &name, const ScopePtr &scope);
  /// Records a host step that makes a list or branch: its rows' numbers, then `outputs` for each of its rows.
  std::pair<size_t, std::vector<Val>> openSpace(const std::string &op, const std::string &name, const std::vector<Val> &inputs,
                                                Spec settings, const std::vector<RichType> &outputs, SourceRange where);
  // Images and boxes: BuiltinsImage.cpp.
  Val flowPixels(const BuiltinCall &), flowCut(const BuiltinCall &), flowFitInto(const BuiltinCall &), flowNms(const BuiltinCall &),
      flowWarp(const BuiltinCall &), flowBlur(const BuiltinCall &);
  // Lists: BuiltinsList.cpp.
  Val reduceElements(const BuiltinCall &);
  Val flowCount(const BuiltinCall &), flowChoose(const BuiltinCall &), flowUnion(const BuiltinCall &), flowFlat(const BuiltinCall &);
  bool needImage(const Given *arg, const std::string &what);
  /// What `pixels` and `fit_into` begin with: an image, and the height and width to make of it.
  std::optional<std::pair<Dim, Dim>> frameOf(const BuiltinCall &call, Spec &settings);
  std::optional<Val> memberOfImage(const Val &image, const ast::Name &member);
  std::optional<Val> memberOfBox(const Val &box, const ast::Name &member);

  // ------------------------------------------------------------ overrides
  void checkOverrides(Module &main);
  std::optional<Val> overridden(const std::string &path);

  // ------------------------------------------------------------ building functions
  /// Runs `body` with a fresh recorder; the function joins the program when `keep`.
  void build(const std::string &name, const std::function<void()> &body, bool keep = true, bool keepInputs = false);
  ScopePtr freshScope(Module *m);

  SourceManager &sources;
  Diagnostics &diags;
  Program *program;
  const Overrides &overrides;

  std::map<std::string, std::unique_ptr<Module>> modules;
  std::map<std::string, std::string> libraryTexts; // of the library modules in use
  std::map<const Module *, ScopePtr> globals;
  std::map<const ast::ConstDecl *, Val> constants;
  std::set<const ast::ConstDecl *> evaluatingConst;
  std::set<const ast::Decl *> reached; // declarations that something evaluated
  std::set<std::string> reported;
  std::set<std::string> usedOverrides;

  Recorder *rec = nullptr;
  unsigned serial = 0; // of `rec`
  bool training_ = false, generic = false;
  int undecided = 0; // inside so many branches of a `when` that only the values of settings decide
  const Learning *learning = nullptr;
  Owner *owner = nullptr;
  FlowBuild *flow = nullptr; // the flow whose body runs
  std::shared_ptr<Instance> current; // the model whose body runs
  LossPairs *pairs = nullptr;
  std::string nameHint;              // name for the instance that is made next
  int iteration = 0;                 // inside `repeat`: which round
  IndexEnv *indexing = nullptr;
  std::vector<std::pair<SourceRange, std::string>> calls; // where we are, outermost first
  int depth = 0;

  struct Init {
    const ast::ParamStmt *stmt;
    ScopePtr scope;
  };
  std::map<int, Init> inits; // by persistent tensor
  std::string rootName;      // set while `train NAME = Model(...)` makes its instance
  Instance *watched = nullptr;                // applications of this instance note their inputs in ...
  std::vector<TensorType> *watchedTypes = nullptr; // ... here, the first time
  std::map<const ast::DataDecl *, std::unique_ptr<DataSet>> dataSets;
  std::map<const ast::TrainDecl *, std::unique_ptr<Training>> trainings;
  std::map<const ast::TrainDecl *, std::shared_ptr<Instance>> trainInstances;
  std::map<const ast::CallableDecl *, std::shared_ptr<OnnxModel>> onnxModels;
  std::map<const ast::InstanceDecl *, std::shared_ptr<Instance>> sharedInstances; // of `model name = Model(...)`
  struct Stop {
    Training *training;
    SourceRange where;
    std::string metric;
  };
  std::vector<Stop> stops; // `stop when` is checked against the report once that is known
  struct Validation { // of a flow after each epoch of a phase, once the flows are checked
    Training *training;
    std::string phase, flow, metric; // the metric that it stops by, if it does
    SourceRange where;
  };
  std::vector<Validation> validations;
  void checkValidations();
  Module *mainModule() { return modules.at("").get(); }
  std::map<const ast::FitDecl *, FitResult> fits;
  std::set<const ast::FitDecl *> fitting;
  /// What the source of a `fit` read.
  struct Reading {
    ScopePtr scope;
    DataSet *set = nullptr;
    std::string split;
  } *reading = nullptr;

  ~Checker();
};

} // namespace bigm::sema
