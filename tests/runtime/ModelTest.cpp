// Weights: round trips, files of other programs, places that cannot be written.
#include "Toy.h"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sys/resource.h>
#include <unistd.h>

using testing::AllOf;
using testing::HasSubstr;
using ModelFiles = Toy;

static std::vector<float> weights(bigm_model *model) {
  std::vector<float> w(3);
  EXPECT_EQ(bigm_model_read(model, 0, w.data(), 12), BIGM_OK);
  return w;
}

TEST_F(ModelFiles, TensorsAreAlignedAndZero) {
  for (int32_t i = 0; i < 3; ++i)
    EXPECT_EQ(reinterpret_cast<uintptr_t>(bigm_model_data(model, i)) % 64, 0u);
  EXPECT_EQ(weights(model), (std::vector<float>{0, 0, 0}));
}
TEST_F(ModelFiles, SaveAndLoadRoundTrip) {
  ASSERT_EQ(bigm_init(context, "toy", 5), BIGM_OK) << bigm_last_error();
  ASSERT_EQ(bigm_model_save(model, path("w").c_str(), 0), BIGM_OK) << bigm_last_error();
  ASSERT_EQ(bigm_init(context, nullptr, 9), BIGM_OK);
  ASSERT_EQ(bigm_model_load(model, path("w").c_str(), nullptr), BIGM_OK) << bigm_last_error();
  EXPECT_EQ(weights(model), (std::vector<float>{5, 6, 7}));
  EXPECT_EQ(files(), 1u) << "no temporary file stays";
}
TEST_F(ModelFiles, SavesTheSameBytesEachTime) {
  ASSERT_EQ(bigm_init(context, nullptr, 5), BIGM_OK);
  ASSERT_EQ(bigm_model_save(model, path("1").c_str(), BIGM_KINDS_ALL), BIGM_OK);
  ASSERT_EQ(bigm_model_save(model, path("2").c_str(), BIGM_KINDS_ALL), BIGM_OK);
  EXPECT_EQ(contents(path("1")), contents(path("2")));
  EXPECT_NE(contents(path("1")).find("toy.w/m"), std::string::npos);
}
TEST_F(ModelFiles, SlotsAreWeightsNoMore) {
  ASSERT_EQ(bigm_model_save(model, path("w").c_str(), 0), BIGM_OK);
  EXPECT_EQ(contents(path("w")).find("toy.w/m"), std::string::npos);
  bigm_load_options options = BIGM_INIT(bigm_load_options);
  options.required = BIGM_KINDS_CHECKPOINT;
  EXPECT_EQ(bigm_model_load(model, path("w").c_str(), &options), BIGM_ERROR_WEIGHTS);
  EXPECT_THAT(bigm_last_error(), HasSubstr("missing: `toy.w/m`"));
}
TEST_F(ModelFiles, fail_AllMisfitsStandInOneError) {
  write(path("w"), safetensors(R"({"other":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"toy.w":{"dtype":"F32","shape":[2,2],"data_offsets":[4,20]}})", std::string(20, 0)));
  EXPECT_EQ(bigm_model_load(model, path("w").c_str(), nullptr), BIGM_ERROR_WEIGHTS);
  EXPECT_THAT(bigm_last_error(), AllOf(HasSubstr(path("w")), HasSubstr("missing: `toy.count`"), HasSubstr("not in the program: `other`"),
                                       HasSubstr("`toy.w` is f32[2, 2] there and f32[3] in the program")));
}
TEST_F(ModelFiles, fail_WrongTypeChangesNothing) {
  ASSERT_EQ(bigm_init(context, nullptr, 5), BIGM_OK);
  write(path("w"), safetensors(R"({"toy.count":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"toy.w":{"dtype":"U16","shape":[3],"data_offsets":[8,14]}})", std::string(14, 0)));
  EXPECT_EQ(bigm_model_load(model, path("w").c_str(), nullptr), BIGM_ERROR_WEIGHTS);
  EXPECT_THAT(bigm_last_error(), HasSubstr("is U16[3] there"));
  EXPECT_EQ(weights(model), (std::vector<float>{5, 6, 7}));
}
TEST_F(ModelFiles, PartsOfAFileCanBeTaken) {
  float values[3] = {1, 2, 3};
  write(path("w"), safetensors(R"({"other":{"dtype":"U8","shape":[1],"data_offsets":[12,13]},"toy.w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})",
                               std::string(reinterpret_cast<char *>(values), 12) + "x"));
  bigm_load_options options = BIGM_INIT(bigm_load_options);
  options.allow_missing = options.allow_extra = 1;
  EXPECT_EQ(bigm_model_load(model, path("w").c_str(), &options), BIGM_OK) << bigm_last_error();
  EXPECT_EQ(weights(model), (std::vector<float>{1, 2, 3}));
}
TEST_F(ModelFiles, APartIsReplacedByItself) {
  float values[3] = {1, 2, 3};
  std::string bytes(reinterpret_cast<char *>(values), 12);
  // Named without the part's path; what else the file has must not be there.
  write(path("w"), safetensors(R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", bytes));
  bigm_load_options options = BIGM_INIT(bigm_load_options);
  options.part = "toy";
  options.allow_missing = 1;
  EXPECT_EQ(bigm_model_load(model, path("w").c_str(), &options), BIGM_OK) << bigm_last_error();
  EXPECT_EQ(weights(model), (std::vector<float>{1, 2, 3}));
  options.allow_missing = 0;
  EXPECT_EQ(bigm_model_load(model, path("w").c_str(), &options), BIGM_ERROR_WEIGHTS);
  EXPECT_THAT(bigm_last_error(), AllOf(HasSubstr("does not fit the part `toy` of the program `toy`"), HasSubstr("missing: `toy.count`")));
  options.part = "tree";
  EXPECT_EQ(bigm_model_load(model, path("w").c_str(), &options), BIGM_ERROR_ARGUMENT);
  EXPECT_THAT(bigm_last_error(), HasSubstr("has no part `tree`; it has `toy`"));
}
TEST_F(ModelFiles, fail_FilesThatAreNotThere) {
  EXPECT_EQ(bigm_model_load(model, path("none").c_str(), nullptr), BIGM_ERROR_NOT_FOUND);
  EXPECT_THAT(bigm_last_error(), AllOf(HasSubstr(path("none")), HasSubstr("no such file")));
  EXPECT_EQ(bigm_model_load(model, folder.c_str(), nullptr), BIGM_ERROR_IO);
  EXPECT_THAT(bigm_last_error(), HasSubstr("is a directory"));
  EXPECT_EQ(bigm_model_load(model, "/dev/null", nullptr), BIGM_ERROR_IO);
  write(path("empty"), "");
  EXPECT_EQ(bigm_model_load(model, path("empty").c_str(), nullptr), BIGM_ERROR_FORMAT);
}
TEST_F(ModelFiles, fail_SaveIntoAFolderThatIsNotThere) {
  EXPECT_EQ(bigm_model_save(model, path("a/b").c_str(), 0), BIGM_ERROR_IO);
  EXPECT_THAT(bigm_last_error(), AllOf(HasSubstr("cannot write"), HasSubstr("no such file or directory")));
}
TEST_F(ModelFiles, fail_SaveWhereOnlyReadingIsAllowed) {
  if (geteuid() == 0)
    GTEST_SKIP() << "root may write everywhere";
  std::filesystem::permissions(folder, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  EXPECT_EQ(bigm_model_save(model, path("w").c_str(), 0), BIGM_ERROR_IO);
  EXPECT_THAT(bigm_last_error(), HasSubstr("permission denied"));
}
TEST_F(ModelFiles, fail_DiskFullLeavesTheOlderFile) {
  ASSERT_EQ(bigm_model_save(model, path("w").c_str(), 0), BIGM_OK);
  std::string before = contents(path("w"));
  ASSERT_EQ(bigm_init(context, nullptr, 5), BIGM_OK);
  // A limit on the size of files stands for the full disk: the write stops in the middle.
  rlimit old, small;
  getrlimit(RLIMIT_FSIZE, &old);
  small = old;
  small.rlim_cur = 40;
  auto handler = signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  bigm_status status = bigm_model_save(model, path("w").c_str(), 0);
  setrlimit(RLIMIT_FSIZE, &old);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(status, BIGM_ERROR_IO);
  EXPECT_THAT(bigm_last_error(), HasSubstr("cannot write " + path("w")));
  EXPECT_EQ(contents(path("w")), before);
  EXPECT_EQ(files(), 1u);
}
TEST_F(ModelFiles, fail_BytesOfTheWrongSize) {
  float w[4] = {};
  EXPECT_EQ(bigm_model_write(model, 0, w, 16), BIGM_ERROR_SHAPE);
  EXPECT_THAT(bigm_last_error(), HasSubstr("`toy.w` has 12 bytes, not 16"));
  EXPECT_EQ(bigm_model_read(model, 3, w, 12), BIGM_ERROR_ARGUMENT);
  EXPECT_EQ(bigm_model_read(model, -1, w, 12), BIGM_ERROR_ARGUMENT);
}
