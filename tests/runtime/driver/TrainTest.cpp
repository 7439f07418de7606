#include "Linear.h"
#include <csignal>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace bigm::driver;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;
using Json = nlohmann::json;

using Train = LinearProgram;

namespace {
/// The lines of metrics.jsonl that close an epoch.
std::vector<Json> epochs(const std::vector<Json> &lines) {
  std::vector<Json> out;
  for (auto &j : lines)
    if (j.contains("epoch"))
      out.push_back(j);
  return out;
}
/// What does not depend on the clock.
std::vector<Json> timeless(std::vector<Json> lines) {
  for (auto &j : lines) {
    j.erase("seconds");
    j.erase("records_per_second");
  }
  return lines;
}
} // namespace

TEST_F(Train, runsAllPhasesAndWritesTheRun) {
  Result r = trainInto("run");
  EXPECT_EQ(r.exitCode, kDone) << r.error;
  EXPECT_EQ(linearSwitches.steps, 2 * 8 + 6 * 4); // 60 records in batches of 8 and of 16
  for (auto name : {"weights.safetensors", "optimizer.safetensors", "state.json", "run.json", "metrics.jsonl", "report.html"})
    EXPECT_TRUE(fs::exists(path(std::string("run/") + name))) << name;
  EXPECT_EQ(std::distance(fs::directory_iterator(path("run")), {}), 6) << "nothing else is left";
  auto all = epochs(lines("run/metrics.jsonl"));
  ASSERT_EQ(all.size(), 8u);
  EXPECT_LT(all.back()["loss"], all.front()["loss"]);
  EXPECT_GT(all.back()["valid"]["accuracy"], 0.9);
  EXPECT_TRUE(all.back()["valid"].contains("loss"));
  EXPECT_FALSE(all.back()["valid"].contains("confusion")) << "tables are no numbers";
  Json run = json("run/run.json");
  EXPECT_EQ(run["status"], "done");
  EXPECT_EQ(run["source_sha256"], "feed");
  EXPECT_EQ(run["seeds"]["train.linear"], 3);
  EXPECT_THAT(log(), HasSubstr("linear second 6/6  loss"));
  EXPECT_THAT(log(), Not(HasSubstr("\x1b"))) << "a file gets plain lines";
}

TEST_F(Train, sameBytesForAnyNumberOfThreads) {
  ASSERT_EQ(trainInto("two").exitCode, kDone);
  for (int threads : {1, 3}) {
    TrainOptions o = options("other");
    o.threads = threads;
    ASSERT_EQ(train(module(), o).exitCode, kDone);
    EXPECT_EQ(contents("two/weights.safetensors"), contents("other/weights.safetensors"));
    EXPECT_EQ(contents("two/optimizer.safetensors"), contents("other/optimizer.safetensors"));
  }
}

TEST_F(Train, anotherSeedGivesOtherWeights) {
  ASSERT_EQ(trainInto("three").exitCode, kDone);
  manifest["trains"][0]["seed"] = 4;
  ASSERT_EQ(trainInto("four").exitCode, kDone);
  EXPECT_NE(contents("three/weights.safetensors"), contents("four/weights.safetensors"));
}

TEST_F(Train, resumesToTheSameBits) {
  ASSERT_EQ(trainInto("whole").exitCode, kDone);
  auto whole = timeless(lines("whole/metrics.jsonl"));
  // In the middle of an epoch, at the end of one, at the end of a phase, and just before the end of all.
  for (int64_t at : {3, 8, 16, 17, 24, 39}) {
    std::string run = "run" + std::to_string(at);
    TrainOptions o = options(run);
    o.stopAfter = [&](int64_t step) { return step == at; };
    EXPECT_EQ(train(module(), o).exitCode, kInterrupted) << at;
    EXPECT_EQ(json(run + "/run.json")["status"], "interrupted");
    linearSwitches.steps = 0;
    EXPECT_EQ(trainInto(run, true).exitCode, kDone);
    EXPECT_EQ(linearSwitches.steps, 40 - at);
    EXPECT_EQ(contents(run + "/weights.safetensors"), contents("whole/weights.safetensors")) << at;
    EXPECT_EQ(contents(run + "/optimizer.safetensors"), contents("whole/optimizer.safetensors")) << at;
    EXPECT_EQ(timeless(lines(run + "/metrics.jsonl")), whole) << at;
  }
}

TEST_F(Train, resumesAfterManyInterruptions) {
  ASSERT_EQ(trainInto("whole").exitCode, kDone);
  Result r{kInterrupted, ""};
  for (int round = 0; r.exitCode == kInterrupted && round < 50; ++round) {
    TrainOptions o = options("run");
    o.resume = round > 0;
    o.threads = 1 + round % 3;
    o.stopAfter = [&](int64_t step) { return step % 5 == 2; };
    r = train(module(), o);
  }
  EXPECT_EQ(r.exitCode, kDone) << r.error;
  EXPECT_EQ(contents("run/weights.safetensors"), contents("whole/weights.safetensors"));
}

TEST_F(Train, resumeOfAFinishedRunDoesNothing) {
  ASSERT_EQ(trainInto("run").exitCode, kDone);
  linearSwitches.steps = 0;
  EXPECT_EQ(trainInto("run", true).exitCode, kDone);
  EXPECT_EQ(linearSwitches.steps, 0);
}

TEST_F(Train, ctrlCSavesAndSaysHowToGoOn) {
  TrainOptions o = options("run");
  o.catchInterrupt = true;
  o.stopAfter = [](int64_t step) {
    if (step == 5)
      std::raise(SIGINT);
    return false;
  };
  EXPECT_EQ(train(module(), o).exitCode, kInterrupted);
  EXPECT_THAT(log(), HasSubstr("stopped after step 5 and saved; go on with the same command and --resume"));
  EXPECT_EQ(json("run/state.json")["step"], 5);
}

TEST_F(Train, killedBetweenCheckpointsGoesOnFromTheLast) {
  ASSERT_EQ(trainInto("whole").exitCode, kDone);
  bigm_module *m = module();
  pid_t child = fork();
  if (child == 0) {
    TrainOptions o = options("run");
    o.threads = 1;
    o.stopAfter = [](int64_t step) {
      if (step == 21)
        raise(SIGKILL);
      return false;
    };
    train(m, o);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(json("run/state.json")["step"], 20) << "the last whole epoch";
  EXPECT_EQ(trainInto("run", true).exitCode, kDone);
  EXPECT_EQ(contents("run/weights.safetensors"), contents("whole/weights.safetensors"));
  EXPECT_EQ(timeless(lines("run/metrics.jsonl")), timeless(lines("whole/metrics.jsonl")));
}

TEST_F(Train, stopsWhenGoodEnough) {
  auto &phase = manifest["trains"][0]["phases"][1];
  phase["stop_metric"] = "valid.accuracy";
  phase["stop_compare"] = ">=";
  phase["stop_value"] = 0.1;
  EXPECT_EQ(trainInto("run").exitCode, kDone);
  EXPECT_EQ(linearSwitches.steps, 2 * 8 + 4) << "one epoch of the second phase is enough";
  EXPECT_THAT(log(), HasSubstr("linear second: stops here (valid.accuracy >= 0.1)"));
}

TEST_F(Train, stopsWhenFlat) {
  auto &phase = manifest["trains"][0]["phases"][1];
  phase["epochs"] = 60;
  phase["stop_metric"] = "valid.accuracy";
  phase["stop_compare"] = "flat";
  phase["stop_value"] = 2;
  EXPECT_EQ(trainInto("run").exitCode, kDone);
  auto all = epochs(lines("run/metrics.jsonl"));
  ASSERT_LT(all.size(), 62u);
  ASSERT_GE(all.size(), 5u);
  // The last two epochs are no better than the best before them.
  double best = 0;
  for (size_t i = 2; i + 2 < all.size(); ++i)
    best = std::max(best, all[i]["valid"]["accuracy"].get<double>());
  EXPECT_LE(all[all.size() - 1]["valid"]["accuracy"], best);
  EXPECT_LE(all[all.size() - 2]["valid"]["accuracy"], best);
}

TEST_F(Train, stopRuleResumesToo) {
  auto &phase = manifest["trains"][0]["phases"][1];
  phase["epochs"] = 60;
  phase["stop_metric"] = "valid.accuracy";
  phase["stop_compare"] = "flat";
  phase["stop_value"] = 3;
  ASSERT_EQ(trainInto("whole").exitCode, kDone);
  auto count = epochs(lines("whole/metrics.jsonl")).size();
  TrainOptions o = options("run");
  int64_t last = 16 + 4 * int64_t(count - 2) - 6; // in the last epochs, while the rule is counting
  o.stopAfter = [&](int64_t step) { return step == last; };
  ASSERT_EQ(train(module(), o).exitCode, kInterrupted);
  ASSERT_EQ(trainInto("run", true).exitCode, kDone);
  EXPECT_EQ(epochs(lines("run/metrics.jsonl")).size(), count);
  EXPECT_EQ(contents("run/weights.safetensors"), contents("whole/weights.safetensors"));
}

TEST_F(Train, aPhaseWithItsOwnOptimiserBeginsAnew) {
  ASSERT_EQ(trainInto("shared").exitCode, kDone);
  manifest["trains"][0]["phases"][1]["own_schedule"] = true;
  ASSERT_EQ(trainInto("own").exitCode, kDone);
  EXPECT_NE(contents("shared/weights.safetensors"), contents("own/weights.safetensors"));
}

TEST_F(Train, startsFromWeightsByRelativeNames) {
  ASSERT_EQ(trainInto("run").exitCode, kDone);
  fs::copy(path("run/weights.safetensors"), path("start.safetensors"));
  auto &phase = manifest["trains"][0]["phases"][0];
  phase["start_from"] = "start.safetensors";
  ASSERT_EQ(trainInto("again").exitCode, kDone);
  EXPECT_THAT(log(), HasSubstr("linear first: 2 tensors from " + dir + "/start.safetensors"));
  EXPECT_LT(epochs(lines("again/metrics.jsonl"))[0]["loss"], epochs(lines("run/metrics.jsonl"))[0]["loss"]);
}

// `evaluate.seen` is made a state of the model for these two.
TEST_F(Train, estimatesStatisticsOfAFrozenPartOnce) {
  auto &seen = manifest["tensors"][8];
  seen["name"] = "linear.seen";
  seen["kind"] = "state";
  manifest["functions"][0]["args"].push_back({{"name", "linear.seen"}, {"role", "tensor"}, {"tensor", 8}, {"access", "write"}});
  auto &phase = manifest["trains"][0]["phases"][0];
  phase["estimate"] = "linear.estimate";
  ASSERT_EQ(trainInto("run").exitCode, kDone);
  // 60 records in batches of 8.
  EXPECT_THAT(log(), HasSubstr("linear first: statistics of the frozen part estimated on 8 batches"));
  EXPECT_EQ(linearSwitches.estimates, 8);
}

// What a file brought is not estimated again.
TEST_F(Train, keepsStatisticsThatAFileBrought) {
  manifest["tensors"][8]["name"] = "linear.seen";
  manifest["tensors"][8]["kind"] = "state";
  manifest["functions"][0]["args"].push_back({{"name", "linear.seen"}, {"role", "tensor"}, {"tensor", 8}, {"access", "write"}});
  auto &phase = manifest["trains"][0]["phases"][0];
  phase["estimate"] = "linear.estimate";
  std::string header = R"({"seen":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})";
  write("start.safetensors", std::string(1, char(header.size())) + std::string(7, '\0') + header + std::string(4, '\0'));
  phase["start_from"] = "start.safetensors";
  ASSERT_EQ(trainInto("run").exitCode, kDone);
  EXPECT_EQ(linearSwitches.estimates, 0);
}

TEST_F(Train, startsFromAFileIfPresent) {
  auto &phase = manifest["trains"][0]["phases"][0];
  phase["start_from"] = "absent.safetensors";
  EXPECT_THAT(trainInto("run").error, HasSubstr("phase `first` starts from absent.safetensors, and there is no such file"));
  phase["start_if_present"] = true;
  EXPECT_EQ(trainInto("run").exitCode, kDone);
}

TEST_F(Train, fail_startFromWrongTensors) {
  auto &phase = manifest["trains"][0]["phases"][0];
  phase["start_from"] = "start.safetensors";
  auto file = [&](const std::string &header, const std::string &bytes) {
    std::string size(8, '\0');
    size[0] = char(header.size());
    write("start.safetensors", size + header + bytes);
    return trainInto("run" + std::to_string(std::hash<std::string>()(header))).error;
  };
  EXPECT_THAT(file(R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})", std::string(24, '\0')),
              HasSubstr("`w` is F32[2, 3] in the file and f32[3, 3] in the model"));
  EXPECT_THAT(file(R"({"q":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", std::string(12, '\0')),
              HasSubstr("holds 1 tensor that the model lacks: q; the model has w, b"));
  EXPECT_THAT(file(R"({"b":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", std::string(5, '\0')), HasSubstr("start.safetensors"));
  write("start.safetensors", "nothing of the kind");
  EXPECT_EQ(trainInto("bad").exitCode, kUserError);
}

TEST_F(Train, fail_lossBecomesNaN) {
  linearSwitches.nanAtStep = 19;
  Result r = trainInto("run");
  EXPECT_EQ(r.exitCode, kUserError);
  EXPECT_THAT(r.error, HasSubstr("the loss became nan at step 20 of phase `second` of `linear`"));
  EXPECT_THAT(r.error, HasSubstr("the first tensor that is not finite is `linear.w`"));
  EXPECT_THAT(r.error, HasSubstr("the last good checkpoint, after step 16, is in " + dir + "/run"));
  EXPECT_EQ(json("run/run.json")["status"], "diverged");
  EXPECT_EQ(json("run/state.json")["step"], 16);
  linearSwitches.nanAtStep = -1; // the checkpoint is good
  EXPECT_EQ(trainInto("run", true).exitCode, kDone);
}

TEST_F(Train, fail_badDataIsFoundBeforeAnyRunIsTouched) {
  ASSERT_EQ(trainInto("run").exitCode, kDone);
  std::string before = contents("run/weights.safetensors");
  write("41.png", "torn");
  Result r = trainInto("run");
  EXPECT_EQ(r.exitCode, kUserError);
  EXPECT_THAT(r.error, HasSubstr("data `colours`: " + dir + "/colours.csv:43: " + dir + "/41.png: expected a PNG or JPEG"));
  EXPECT_EQ(contents("run/weights.safetensors"), before);
}

TEST_F(Train, fail_splitTooLarge) {
  manifest["data"][0]["split"][0][1] = 90;
  EXPECT_THAT(trainInto("run").error, HasSubstr("asks for 90 records up to `train`, and csv(colours.csv) holds 80"));
  EXPECT_FALSE(fs::exists(path("run")));
}

TEST_F(Train, fail_stopRuleWithoutValidation) {
  auto &phase = manifest["trains"][0]["phases"][1];
  phase["stop_metric"] = "valid.accuracy";
  phase["stop_compare"] = "flat";
  phase["stop_value"] = 2;
  manifest["data"][0]["split"].erase(1);
  EXPECT_THAT(trainInto("run").error, HasSubstr("data `colours` has no split `valid`"));
}

TEST_F(Train, fail_folderThatCannotBeWritten) {
  write("file", "x");
  EXPECT_THAT(trainInto("file").error, HasSubstr("/file: is a file; expected a folder for the run"));
  EXPECT_THAT(trainInto("file/run").error, HasSubstr("/file/run: the folder cannot be made"));
  fs::create_directory(path("full"));
  write("full/letters.txt", "mine");
  EXPECT_THAT(trainInto("full").error, HasSubstr("holds files that are not of a run"));
  EXPECT_EQ(contents("full/letters.txt"), "mine");
  if (::getuid() != 0) { // root may write anywhere
    fs::create_directory(path("locked"));
    fs::permissions(path("locked"), fs::perms::owner_read | fs::perms::owner_exec);
    EXPECT_THAT(trainInto("locked").error, HasSubstr("cannot be written: Permission denied"));
  }
}

TEST_F(Train, fail_fullDiskLeavesTheLastCheckpoint) {
  // A limit on the size of files stands for the full disk: writing more fails with an error of the system.
  TrainOptions o = options("run");
  o.stopAfter = [](int64_t step) { return step == 8; };
  ASSERT_EQ(train(module(), o).exitCode, kInterrupted);
  std::string before = contents("run/weights.safetensors");
  bigm_module *m = module();
  pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{300, 300};
    setrlimit(RLIMIT_FSIZE, &limit);
    TrainOptions again = options("run");
    again.resume = true;
    again.threads = 1;
    again.log = nullptr;
    Result r = train(m, again);
    _exit(r.exitCode == kUserError && r.error.find(dir + "/run/") != std::string::npos ? 7 : 8);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(contents("run/weights.safetensors"), before);
  EXPECT_EQ(json("run/state.json")["step"], 8);
  EXPECT_EQ(trainInto("run", true).exitCode, kDone);
}

TEST_F(Train, fail_resumeOfWhatIsNotTheSame) {
  EXPECT_THAT(trainInto("run", true).error, HasSubstr("holds no checkpoint to resume from"));
  TrainOptions o = options("run");
  o.settings = {{"train.linear.first.epochs", "2"}};
  o.stopAfter = [](int64_t step) { return step == 4; };
  ASSERT_EQ(train(module(), o).exitCode, kInterrupted);
  EXPECT_THAT(trainInto("run", true).error, HasSubstr("was begun with --set train.linear.first.epochs=2"));
  o.resume = false;
  EXPECT_THAT(train(module(), o).error, HasSubstr("holds a training that was cut off; go on with --resume"));
  o.resume = true;
  manifest["source_sha256"] = "beef";
  EXPECT_THAT(train(module(), o).error, HasSubstr("is the run of another version of `colours`"));
  manifest["name"] = "portraits";
  EXPECT_THAT(train(module(), o).error, HasSubstr("is the run of `colours`"));
  EXPECT_THAT(trainInto("run").error, HasSubstr("is the run of `colours`; expected a new folder"));
  manifest["name"] = "colours";
  manifest["source_sha256"] = "feed";
  write("run/state.json", "{\"bigm_run\": 1, \"program\": \"colours\"}");
  EXPECT_THAT(train(module(), o).error, HasSubstr("state.json: cannot be read"));
}

TEST_F(Train, fail_nothingToTrain) {
  manifest["trains"] = Json::array();
  EXPECT_THAT(trainInto("run").error, HasSubstr("has no `train`"));
}
