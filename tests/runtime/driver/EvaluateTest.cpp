#include "Linear.h"

using namespace bigm::driver;
using testing::HasSubstr;
namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Evaluate : LinearProgram {
  void SetUp() override {
    LinearProgram::SetUp();
    ASSERT_EQ(trainInto("run").exitCode, kDone);
  }
  Evaluation evaluateRun(const std::string &run = "run") { return evaluate(module(), options(run)); }
};

TEST_F(Evaluate, numbersAndGates) {
  Evaluation e = evaluateRun();
  EXPECT_EQ(e.result.exitCode, kDone) << e.result.error;
  Json j = Json::parse(e.json);
  EXPECT_EQ(j.size(), 2u);
  ASSERT_TRUE(j["results"]["linear"]["accuracy"].is_number());
  EXPECT_EQ(j["results"]["linear"].size(), 1u) << "the confusion table is no number";
  EXPECT_GE(j["results"]["linear"]["accuracy"], 0.9);
  EXPECT_EQ(j["requires"], Json::parse(R"([{"text": "accuracy >= 0.9", "held": true}])"));
  EXPECT_THAT(e.text, HasSubstr("held:   accuracy >= 0.9"));
  std::string page = contents("run/report.html");
  EXPECT_THAT(page, HasSubstr("on colours.test, 16 records"));
  EXPECT_THAT(page, testing::Not(HasSubstr("http://")));
}

TEST_F(Evaluate, aGateThatFailsIsExitCode3) {
  manifest["evaluates"][0]["requires"][0]["value"] = 1.01;
  manifest["evaluates"][0]["requires"][0]["text"] = "accuracy >= 1.01";
  manifest["source_sha256"] = "another text of the same program"; // gates may change after the training
  Evaluation e = evaluateRun();
  EXPECT_EQ(e.result.exitCode, kGateFailed);
  EXPECT_EQ(e.result.error, "");
  EXPECT_EQ(Json::parse(e.json)["requires"][0]["held"], false);
}

TEST_F(Evaluate, aRunThatCannotBeWrittenIsStillMeasured) {
  fs::create_directory(path("run/evaluation.json.tmp"));
  Evaluation e = evaluateRun();
  EXPECT_EQ(e.result.exitCode, kDone);
  EXPECT_THAT(log(), HasSubstr("the report is not updated"));
}

TEST_F(Evaluate, fail_otherRuns) {
  EXPECT_THAT(evaluateRun("nowhere").result.error, HasSubstr("/nowhere: there is no such folder"));
  fs::create_directory(path("empty"));
  EXPECT_THAT(evaluateRun("empty").result.error, HasSubstr("/empty: holds no weights.safetensors"));
  fs::remove(path("run/run.json"));
  manifest["tensors"][0]["name"] = "other.w";
  for (auto &f : manifest["functions"])
    for (auto &a : f["args"])
      if (a["name"] == "linear.w")
        a["name"] = "other.w";
  Evaluation e = evaluateRun();
  EXPECT_EQ(e.result.exitCode, kUserError);
  EXPECT_THAT(e.result.error, HasSubstr("/run: is the run of another program"));
  EXPECT_THAT(e.result.error, HasSubstr("other.w"));
}

TEST_F(Evaluate, fail_nameOfAnotherProgram) {
  manifest["name"] = "portraits";
  EXPECT_THAT(evaluateRun().result.error, HasSubstr("is the run of `colours`; expected one of `portraits`"));
}

TEST_F(Evaluate, fail_truncatedWeights) {
  std::string bytes = contents("run/weights.safetensors");
  write("run/weights.safetensors", bytes.substr(0, bytes.size() - 5));
  Evaluation e = evaluateRun();
  EXPECT_EQ(e.result.exitCode, kUserError);
  EXPECT_THAT(e.result.error, HasSubstr("weights.safetensors"));
}

TEST_F(Evaluate, fail_missingTestData) {
  fs::remove(path("test.csv"));
  EXPECT_THAT(evaluateRun().result.error, HasSubstr("test.csv: there is no such file"));
}
