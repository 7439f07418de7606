// The reader believes nothing: each hostile file gives one clear error.
#include "Toy.h"
#include "runtime/core/Failure.h"
#include "runtime/core/Safetensors.h"
#include <cstring>

using namespace bigm::rt;

static std::string problemOf(const std::string &file) {
  // On the heap and exactly as long, so that a sanitizer sees a read past the end.
  std::unique_ptr<uint8_t[]> copy(new uint8_t[file.size()]);
  std::memcpy(copy.get(), file.data(), file.size());
  try {
    parseSafetensors(copy.get(), file.size(), "f");
  } catch (const Failure &failure) {
    EXPECT_EQ(failure.status, BIGM_ERROR_FORMAT);
    return failure.what();
  }
  return "";
}
static std::string withHeader(const std::string &header, size_t data) { return problemOf(safetensors(header, std::string(data, '\1'))); }

TEST(Safetensors, ReadsWhatThePythonLibraryWrites) {
  // safetensors.numpy.save({"b": zeros((2,), float16), "a": array([[1, 2]], float32)}, metadata={"k": "v"})
  std::string data("\0\0\x80\x3f\0\0\0\x40\0\0\0\0", 12);
  std::string file = safetensors(R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[2],"data_offsets":[8,12]}} )", data);
  auto entries = parseSafetensors(reinterpret_cast<const uint8_t *>(file.data()), file.size(), "f");
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "a");
  EXPECT_EQ(entries[0].dtype, BIGM_F32);
  EXPECT_EQ(entries[0].shape, (std::vector<int64_t>{1, 2}));
  float values[2];
  std::memcpy(values, entries[0].data, 8);
  EXPECT_EQ(values[1], 2.0f);
  EXPECT_EQ(entries[1].dtype, BIGM_F16);
}
TEST(Safetensors, ReadsAnEmptyFileOfTensors) { EXPECT_EQ(withHeader("{}", 0), ""); }
TEST(Safetensors, ReadsScalarsAndTensorsWithoutElements) {
  EXPECT_EQ(withHeader(R"({"s":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"z":{"dtype":"F32","shape":[0,4],"data_offsets":[8,8]}})", 8), "");
}
TEST(Safetensors, SkipsOverTypesItDoesNotKnow) { EXPECT_EQ(withHeader(R"({"a":{"dtype":"U16","shape":[2],"data_offsets":[0,4]}})", 4), ""); }

TEST(Safetensors, RefusesHostileFiles) {
  struct Case {
    const char *header;
    size_t data;
    const char *expected;
  } cases[] = {
      {"", 0, "does not begin with {"},
      {"[]", 0, "does not begin with {"},
      {"{", 0, "no JSON"},
      {"{\"a\":1}", 0, "number stands where none"},
      {"{\"a\":null}", 0, "null stands"},
      {"{\"a\":[]}", 0, "list stands where none"},
      {"{\"a\":{}}", 0, "lacks dtype"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "lacks dtype, shape or data_offsets"},
      {"{\"a\":{\"dtype\":\"F99\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown dtype `F99`"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "shape needs 8"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3, "truncated"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, "belong to none"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "no range"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "no range"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "no range"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "negative"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, "not whole"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[18446744073709551615],\"data_offsets\":[0,4]}}", 4, "beyond all bounds"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999999],\"data_offsets\":[0,4]}}", 4, "not whole"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, "beyond all bounds"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[[1]],\"data_offsets\":[0,4]}}", 4, "list stands where none"},
      {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "twice"},
      {"{\"a\":{\"dtype\":\"F32\",\"colour\":\"red\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown field `colour`"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "`a` stands there twice"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "overlaps"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "hole"},
      {"{\"__metadata__\":{\"a\":1}}", 0, "number stands where none"},
      {"{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, "object stands where none"},
      {"{\"__metadata__\":\"text\"}", 0, "text stands where none"},
      {"{\"a\xff\":{}}", 0, "no JSON"},
  };
  for (const Case &c : cases)
    EXPECT_THAT(withHeader(c.header, c.data), testing::HasSubstr(c.expected)) << c.header;
}
TEST(Safetensors, RefusesFilesTooShortForTheirHeader) {
  EXPECT_THAT(problemOf(""), testing::HasSubstr("has 0 bytes"));
  EXPECT_THAT(problemOf("1234567"), testing::HasSubstr("has 7 bytes"));
  EXPECT_THAT(problemOf(std::string("\x10\0\0\0\0\0\0\0{}", 10)), testing::HasSubstr("truncated"));
  EXPECT_THAT(problemOf(std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10)), testing::HasSubstr("header would have"));
}
TEST(Safetensors, DeepNestingIsAnErrorAndNoCrash) {
  EXPECT_NE(withHeader("{\"a\":" + std::string(100000, '['), 0), "");
  EXPECT_NE(withHeader(std::string(100000, '{'), 0), "");
}
TEST(Safetensors, EveryTruncationIsAnError) {
  std::string whole = safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "12345678");
  for (size_t n = 0; n < whole.size(); ++n)
    EXPECT_NE(problemOf(whole.substr(0, n)), "") << n;
}

TEST(Safetensors, TheFuzzersSeedsAndFindingsAreReadOrRefused) {
  const char *source = std::getenv("BIGM_SOURCE");
  int files = 0;
  for (const auto &entry : std::filesystem::directory_iterator(std::string(source ? source : BIGM_TEST_SOURCE) + "/tests/runtime/fuzz/seeds")) {
    (void)problemOf(contents(entry.path().string()));
    ++files;
  }
  EXPECT_GE(files, 5);
}

using SafetensorsFiles = Toy;
TEST_F(SafetensorsFiles, SameTensorsGiveSameBytesInAnyOrder) {
  uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  SafetensorsEntry a{"a", BIGM_U8, "", {8}, bytes, 8}, b{"b\"\n", BIGM_F32, "", {2, 1}, bytes, 8};
  writeSafetensors(path("1"), {a, b});
  writeSafetensors(path("2"), {b, a});
  EXPECT_EQ(contents(path("1")), contents(path("2")));
  SafetensorsFile file(path("1"));
  ASSERT_TRUE(file.find("b\"\n"));
  EXPECT_EQ(file.find("b\"\n")->shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(file.find("c"), nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.entries()[0].data) % 64, 0u);
}
