#include "Linear.h"
#include "runtime/data/Picture.h"

using namespace bigm::driver;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;
using Json = nlohmann::json;

struct Predict : LinearProgram {
  std::vector<std::string> said;
  void SetUp() override {
    LinearProgram::SetUp();
    ASSERT_EQ(trainInto("run").exitCode, kDone);
  }
  Result ask(const std::vector<std::string> &inputs, bool json = false) {
    PredictOptions o;
    static_cast<CommonOptions &>(o) = options("run");
    o.json = json;
    o.print = [this](const std::string &line) { said.push_back(line); };
    said.clear();
    return predict(module(), o, inputs);
  }
};

TEST_F(Predict, oneLineAnInput) {
  EXPECT_EQ(ask({path("1000.png"), path("1001.png"), path("1002.png")}).exitCode, kDone); // 1000 % 3 is 1: green
  ASSERT_THAT(said, SizeIs(3));
  EXPECT_THAT(said[0], StartsWith(dir + "/1000.png: colour green ("));
  EXPECT_THAT(said[1], StartsWith(dir + "/1001.png: colour blue ("));
  EXPECT_THAT(said[2], StartsWith(dir + "/1002.png: colour red ("));
}

TEST_F(Predict, json) {
  ask({path("1000.png")}, true);
  Json j = Json::parse(said.at(0));
  EXPECT_EQ(j["input"], path("1000.png"));
  EXPECT_EQ(j["colour"]["label"], "green");
  EXPECT_EQ(j["colour"]["class"], 1);
  EXPECT_GT(j["colour"]["score"], 0.33);
}

TEST_F(Predict, moreInputsThanABatch) {
  std::vector<std::string> inputs;
  for (int i = 0; i < 160; ++i)
    inputs.push_back(path(std::to_string(i % 80) + ".png"));
  EXPECT_EQ(ask(inputs).exitCode, kDone);
  ASSERT_THAT(said, SizeIs(160));
  for (size_t i = 0; i < 160; ++i)
    EXPECT_THAT(said[i], StartsWith(inputs[i] + ":"));
}

TEST_F(Predict, otherSizesAreResizedAndSaidSo) {
  bigm::data::Picture blue{3, 9, 6, bigm::data::Bytes(162, 60)};
  std::fill(blue.pixels.begin() + 108, blue.pixels.end(), 190);
  auto png = bigm::data::encodePng(blue);
  write("large.png", std::string(png.begin(), png.end()));
  EXPECT_EQ(ask({path("large.png")}).exitCode, kDone);
  EXPECT_THAT(said.at(0), HasSubstr("colour blue"));
  EXPECT_THAT(log(), HasSubstr("1 picture was resized to 4 x 4"));
}

TEST_F(Predict, arraysOfOneOrSeveralRecords) {
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 4, 4), }";
  header.resize(118, ' ');
  std::string red(48, char(60)), green = red;
  std::fill_n(red.begin(), 16, char(190));
  std::fill_n(green.begin() + 16, 16, char(190));
  write("a.npy", std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + red + green);
  EXPECT_EQ(ask({path("a.npy")}).exitCode, kDone);
  ASSERT_THAT(said, SizeIs(2));
  EXPECT_THAT(said[0], StartsWith(dir + "/a.npy[0]: colour red"));
  EXPECT_THAT(said[1], StartsWith(dir + "/a.npy[1]: colour green"));
}

TEST_F(Predict, fail_unreadableInputsAreNamedAndTheRestAnswered) {
  write("torn.png", contents("3.png").substr(0, 60));
  Result r = ask({path("1000.png"), path("torn.png"), path("absent.png"), path("1002.png")}, true);
  EXPECT_EQ(r.exitCode, kUserError);
  EXPECT_THAT(r.error, HasSubstr("2 of 4 inputs could not be read"));
  ASSERT_THAT(said, SizeIs(4));
  EXPECT_TRUE(Json::parse(said[0]).contains("colour"));
  EXPECT_THAT(Json::parse(said[1])["error"].get<std::string>(), HasSubstr("torn.png: "));
  EXPECT_THAT(Json::parse(said[2])["error"].get<std::string>(), HasSubstr("there is no such file"));
  EXPECT_TRUE(Json::parse(said[3]).contains("colour"));
}

TEST_F(Predict, fail_nothingToSay) {
  manifest["trains"][0]["predict"] = "";
  EXPECT_THAT(ask({path("1000.png")}).error, HasSubstr("`predict` has nothing to say"));
}
