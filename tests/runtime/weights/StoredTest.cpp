// `inputs/toy.gguf` was written by the package `gguf` 0.17 (random blocks, seed 5); the numbers below are what its own
// `dequantize` makes of them.
#include "GgufBytes.h"
#include "InFolder.h"
#include "runtime/core/Safetensors.h"
#include "runtime/data/Error.h"
#include <cmath>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace bigm;
using namespace bigm::weights;
using namespace bigm::weights::test;
using testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

std::string readAll(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
const std::string kToy = std::string(BIGM_TEST_INPUTS) + "/toy.gguf";

double weighted(const std::vector<float> &values) {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i)
    sum += double(values[i]) * double(i + 1);
  return sum;
}

struct InFolder : Folder {
  void tensors(const std::string &file, std::vector<std::string> names) {
    static const float values[] = {1.5f, -2.f};
    std::vector<rt::SafetensorsEntry> entries;
    for (auto &name : names) {
      rt::SafetensorsEntry e;
      e.name = name;
      e.shape = {2};
      e.data = reinterpret_cast<const uint8_t *>(values);
      e.bytes = 8;
      entries.push_back(e);
    }
    rt::writeSafetensors(path(file), entries);
  }
  std::string error(const std::string &at) {
    try {
      Stored stored(at);
      return "";
    } catch (const data::Error &e) {
      return e.what();
    }
  }
};
} // namespace

TEST(Gguf, EveryEncodingAsItsOwnersReadIt) {
  Stored toy(kToy);
  EXPECT_NEAR(weighted(floats(toy, "plain")), 17.950854748487473, 1e-9);
  EXPECT_NEAR(weighted(floats(toy, "half")), 17.937255859375, 1e-9);
  EXPECT_NEAR(weighted(floats(toy, "q8")), 230.99200439453125, 1e-6);
  EXPECT_NEAR(weighted(floats(toy, "q4")), 4.05853271484375, 1e-6);
  EXPECT_NEAR(weighted(floats(toy, "q4k")), 120141.11364746094, 1e-2);
  EXPECT_NEAR(weighted(floats(toy, "q6k")), -5031.165361404419, 1e-3);
  EXPECT_FLOAT_EQ(floats(toy, "q6k")[1], -5.337238311767578f);
  EXPECT_FLOAT_EQ(floats(toy, "q4k")[255], 6.19775390625f);
}

/// inputs/make_blocks.py: random blocks of every kind, and what the package `gguf` makes of them.
TEST(Gguf, BlocksOfEveryKind) {
  const std::string folder = BIGM_TEST_INPUTS;
  Stored packed(folder + "/blocks.gguf"), decoded(folder + "/blocks.safetensors");
  ASSERT_EQ(packed.tensors().size(), 13u);
  for (auto &t : packed.tensors()) {
    std::vector<float> got = floats(packed, t.name), want = floats(decoded, t.name);
    ASSERT_EQ(got.size(), want.size()) << t.encodingName;
    float largest = 0;
    for (float x : want)
      largest = std::max(largest, std::abs(x));
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], want[i], 1e-6f * largest) << t.encodingName << " element " << i;
  }
}

TEST(Gguf, SizesRunFromTheSlowest) {
  Stored toy(kToy);
  for (auto &t : toy.tensors())
    if (t.name == "plain") {
      EXPECT_EQ(t.shape, (std::vector<int64_t>{3, 5}));
    }
}

TEST(Gguf, EveryCutOfAFileIsAnErrorOrWhole) {
  std::string whole = readAll(kToy);
  for (size_t size = 0; size < whole.size(); ++size) {
    std::vector<uint8_t> cut(whole.begin(), whole.begin() + long(size)); // a copy, so that a read behind it is seen
    try {
      parseGguf(cut.data(), cut.size(), "cut");
    } catch (const data::Error &) {
    }
  }
}

TEST(Gguf, CountsBeyondTheFileAreRefused) {
  std::string bytes = readAll(kToy);
  for (size_t at : {8u, 16u}) {
    std::string bad = bytes;
    bad[at + 6] = char(0x7f);
    EXPECT_THROW(parseGguf(reinterpret_cast<const uint8_t *>(bad.data()), bad.size(), "bad"), data::Error);
  }
}

struct StoredFolder : InFolder {};

/// A GGUF file of one tensor `name` of type `kind` in a block of `bytes`, after pairs as they stand in a file.
std::string gguf(const std::string &name, uint32_t kind, uint64_t elements, size_t bytes, std::vector<std::string> pairs = {}) {
  std::string out = header(1, pairs);
  out += textBytes(name) + raw(uint32_t(1)) + raw(elements) + raw(kind) + raw(uint64_t(0));
  out.resize((out.size() + 31) / 32 * 32);
  return out + std::string(bytes, '\1');
}
std::string part(const std::string &name, uint16_t number, uint16_t count) {
  return gguf(name, 0, 2, 8, {pair("split.no", 2, number), pair("split.count", 2, count)});
}

TEST_F(StoredFolder, PartsOfASplitGgufAreOneList) {
  write("m-00001-of-00003.gguf", part("b", 0, 3));
  write("m-00002-of-00003.gguf", part("a", 1, 3));
  write("m-00003-of-00003.gguf", part("c", 2, 3));
  for (const std::string &at : {dir, path("m-00001-of-00003.gguf"), path("m-00003-of-00003.gguf")}) {
    Stored stored(at);
    ASSERT_EQ(stored.tensors().size(), 3u) << at;
    EXPECT_EQ(stored.tensors()[0].name, "a");
  }
  write("other.gguf", part("b", 0, 3));
  EXPECT_THAT(error(path("other.gguf")), HasSubstr("says that it is one of 3 parts of a file, which are found by their names; name it NAME-00001-of-00003.gguf"));
  write("m-00002-of-00003.gguf", part("a", 2, 3));
  EXPECT_THAT(error(path("m-00001-of-00003.gguf")), HasSubstr("says that it is part 3 of 3; expected part 2 of 3"));
  write("m-00002-of-00003.gguf", "no");
  EXPECT_THAT(error(path("m-00001-of-00003.gguf")), HasSubstr("m-00002-of-00003.gguf: is no GGUF file"));
  fs::remove(path("m-00002-of-00003.gguf"));
  EXPECT_THAT(error(path("m-00001-of-00003.gguf")), HasSubstr("m-00002-of-00003.gguf"));
}

TEST_F(StoredFolder, GgufOfOtherMachinesAndEncodings) {
  std::string big = gguf("a", 0, 2, 8);
  std::swap(big[4], big[7]);
  write("big.gguf", big);
  EXPECT_THAT(error(path("big.gguf")), HasSubstr("it is written for big-endian machines"));
  write("odd.gguf", gguf("a", 0, 2, 8, {pair("general.alignment", 10, uint64_t(64))}));
  EXPECT_THAT(error(path("odd.gguf")), HasSubstr("`general.alignment` has the type 10, and it is of type 4"));
  write("part.gguf", part("a", 3, 3));
  EXPECT_THAT(error(path("part.gguf")), HasSubstr("part 3 of 3, counted from 0"));
  // An encoding that is not decoded is told by its name, and only where the tensor is wanted.
  write("iq.gguf", gguf("a", 21, 256, 110));
  Stored iq(path("iq.gguf"));
  EXPECT_EQ(iq.tensors()[0].encodingName, "IQ3_S");
  EXPECT_FALSE(readable(iq.tensors()[0].encoding, data::Elem::F32));
}

TEST_F(StoredFolder, ShardsAreOneList) {
  tensors("model-1.safetensors", {"b"});
  tensors("model-2.safetensors", {"a", "c"});
  write("model.safetensors.index.json",
        R"({"weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}})");
  Stored stored(dir);
  ASSERT_EQ(stored.tensors().size(), 3u);
  EXPECT_EQ(stored.tensors()[1].name, "b");
  EXPECT_EQ(floats(stored, "c")[1], -2.f);
}

TEST_F(StoredFolder, AShardOutsideTheFolderIsRefused) {
  write("model.safetensors.index.json", R"({"weight_map": {"a": "../other.safetensors"}})");
  EXPECT_THAT(error(dir), HasSubstr("`a` is in no file of this folder"));
}

TEST_F(StoredFolder, WhichFileMustBeClear) {
  EXPECT_THAT(error(dir), HasSubstr("holds no weights"));
  tensors("one.safetensors", {"a"});
  EXPECT_EQ(error(dir), "");
  tensors("two.safetensors", {"a"});
  EXPECT_THAT(error(dir), HasSubstr("2 files with weights"));
}

TEST_F(StoredFolder, HalfPrecisionBecomesSingle) {
  const uint16_t half[] = {0x3c00, 0xc000, 0x0001, 0x7c00}, brain[] = {0x3f80, 0xc000, 0x0001, 0x7f80};
  StoredTensor t;
  t.shape = {4};
  t.bytes = 8;
  t.encoding = Encoding::F16;
  t.data = reinterpret_cast<const uint8_t *>(half);
  float out[4];
  read(t, data::Elem::F32, out);
  EXPECT_THAT(out, testing::ElementsAre(1.f, -2.f, 0x1p-24f, INFINITY));
  t.encoding = Encoding::BF16;
  t.data = reinterpret_cast<const uint8_t *>(brain);
  read(t, data::Elem::F32, out);
  EXPECT_THAT(out, testing::ElementsAre(1.f, -2.f, std::ldexp(1.f, -133), INFINITY));
  EXPECT_FALSE(readable(Encoding::I32, data::Elem::F32));
}
