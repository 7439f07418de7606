#include "Files.h"
#include "runtime/data/Npy.h"

using namespace bigm::data;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

std::string bigEndian(uint32_t v) { return {char(v >> 24), char(v >> 16), char(v >> 8), char(v)}; }
std::string idx(uint8_t type, std::vector<uint32_t> shape, const std::string &bytes) {
  std::string out{0, 0, char(type), char(shape.size())};
  for (uint32_t d : shape)
    out += bigEndian(d);
  return out + bytes;
}
std::string npy(const std::string &descr, const std::string &shape, const std::string &bytes, const char *fortran = "False") {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': (" + shape + "), }";
  header.resize((header.size() + 10 + 63) / 64 * 64 - 10, ' ');
  return std::string("\x93NUMPY\x01\x00", 8) + char(header.size()) + char(header.size() >> 8) + header + bytes;
}
const SourceSpec kPair{"idx", {"x", "y"}, {}};
const std::vector<Field> kFields{tensor("picture", Elem::U8, {1, 2}), label("digit", 3)};

} // namespace

using Idx = InFolder;

TEST_F(Idx, plainAndGzipGiveTheSame) {
  write("x", gzip(idx(8, {3, 1, 2}, "abcdef")));
  write("y", idx(8, {3}, std::string("\2\0\1", 3)));
  Table t = open(kPair, kFields);
  EXPECT_EQ(t.count, 3);
  EXPECT_THAT(values<uint8_t>(all(t), "picture"), ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
  EXPECT_THAT(values<int32_t>(all(t), "digit"), ElementsAre(2, 0, 1));
}

TEST_F(Idx, filesCanBeNamedByField) {
  write("x", idx(8, {1, 1, 2}, "ab"));
  write("y", idx(8, {1}, std::string(1, '\1')));
  EXPECT_EQ(open({"idx", {}, {{"digit", "y"}, {"picture", "x"}}}, kFields).count, 1);
}

TEST_F(Idx, bigEndianFloatsAndShorts) {
  write("x", idx(13, {2}, bigEndian(0x3f800000) + bigEndian(0xc0000000)));
  EXPECT_THAT(values<float>(all(open({"idx", {"x"}, {}}, {tensor("v", Elem::F32)})), "v"), ElementsAre(1, -2));
  write("x", idx(11, {2}, std::string("\x01\x02\xff\xfe", 4)));
  EXPECT_THAT(values<int32_t>(all(open({"idx", {"x"}, {}}, {tensor("v", Elem::I32)})), "v"), ElementsAre(258, -2));
}

TEST_F(Idx, fail_missingFile) {
  EXPECT_THAT(error(kPair, kFields), HasSubstr(dir + "/x: there is no such file"));
}

TEST_F(Idx, fail_folderInsteadOfFile) {
  std::filesystem::create_directory(path("x"));
  EXPECT_THAT(error(kPair, kFields), HasSubstr("/x: is a folder; expected a file"));
}

TEST_F(Idx, fail_emptyFile) {
  write("x", "");
  EXPECT_THAT(error(kPair, kFields), HasSubstr("/x: ends after 0 bytes; expected the magic number"));
}

TEST_F(Idx, fail_wrongMagic) {
  write("x", "PK\3\4 and more");
  EXPECT_THAT(error(kPair, kFields), HasSubstr("/x: expected an idx file"));
}

TEST_F(Idx, fail_truncated) {
  write("x", idx(8, {3, 1, 2}, "abcde"));
  EXPECT_THAT(error(kPair, kFields), HasSubstr("/x: ends after 5 bytes; expected the [3, 1, 2] elements"));
}

TEST_F(Idx, fail_headerPromisesTerabytes) {
  write("x", idx(8, {0xffffffff, 0xffff, 0xffff}, "abcde"));
  EXPECT_THAT(error(kPair, kFields), HasSubstr("too large to be true"));
  write("x", idx(8, {0x7fffffff, 1, 2}, "abcde")); // below the limit: costs no more memory than the file has bytes
  EXPECT_THAT(error(kPair, kFields), HasSubstr("ends after 5 bytes"));
}

TEST_F(Idx, fail_bytesAfterTheEnd) {
  write("x", idx(8, {3, 1, 2}, "abcdefg"));
  EXPECT_THAT(error(kPair, kFields), HasSubstr("bytes follow"));
}

TEST_F(Idx, fail_wrongShape) {
  write("x", idx(8, {3, 3}, "abcdefghi"));
  EXPECT_THAT(error(kPair, kFields), HasSubstr("/x: its records have the shape [3], and the field `picture` is u8[1, 2]"));
}

TEST_F(Idx, fail_countsDiffer) {
  write("x", idx(8, {3, 1, 2}, "abcdef"));
  write("y", idx(8, {2}, std::string(2, '\0')));
  EXPECT_THAT(error(kPair, kFields), HasSubstr("/y: holds 2 records, and " + dir + "/x holds 3"));
}

TEST_F(Idx, fail_labelOutOfRange) {
  write("x", idx(8, {3, 1, 2}, "abcdef"));
  write("y", idx(8, {3}, std::string("\0\3\1", 3)));
  EXPECT_THAT(error(kPair, kFields), HasSubstr("/y: record 1 has the class 3, and `digit` is label[3]: expected 0 to 2"));
}

TEST_F(Idx, fail_pixelsIntoFloats) {
  write("x", idx(8, {1, 2}, "ab"));
  EXPECT_THAT(error({"idx", {"x"}, {}}, {tensor("picture", Elem::F32, {2})}),
              HasSubstr("holds u8, and the field `picture` is f32[2]; declare the field as u8[2] and derive"));
}

TEST_F(Idx, fail_gzipCutAndDamaged) {
  std::string good = gzip(idx(8, {200, 1, 2}, std::string(400, 'q') ));
  write("x", good.substr(0, good.size() / 2));
  EXPECT_THAT(error(kPair, kFields), HasSubstr("/x: the gzip stream stops in the middle"));
  std::string bad = good;
  bad[bad.size() - 6] ^= 1; // in the checksum
  write("x", bad);
  EXPECT_THAT(error(kPair, kFields), HasSubstr("/x: corrupt gzip data"));
  write("x", good + "rubbish");
  EXPECT_THAT(error(kPair, kFields), HasSubstr("no gzip stream follow"));
}

TEST_F(Idx, fail_moreFieldsThanFiles) {
  write("x", idx(8, {3, 1, 2}, "abcdef"));
  EXPECT_THAT(error({"idx", {"x"}, {}}, kFields), HasSubstr("expected one file for each, `digit` among them"));
}

TEST_F(Idx, fail_noSuchSource) {
  EXPECT_THAT(error({"parquet", {"x"}, {}}, kFields), HasSubstr("no source `parquet`; the sources are idx, csv, npy, folder"));
}

using Npy = InFolder;

TEST_F(Npy, readsNumbersOfBothByteOrders) {
  write("x.npy", npy("<f8", "2, 2", std::string("\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x40\0\0\0\0\0\0\x08\x40\0\0\0\0\0\0\x10\x40", 32)));
  EXPECT_THAT(values<float>(all(open({"npy", {"x.npy"}, {}}, {tensor("v", Elem::F32, {2})})), "v"), ElementsAre(1, 2, 3, 4));
  write("x.npy", npy(">i2", "2,", std::string("\1\2\xff\xff", 4)));
  EXPECT_THAT(values<int32_t>(all(open({"npy", {"x.npy"}, {}}, {tensor("v", Elem::I32)})), "v"), ElementsAre(258, -1));
}

TEST_F(Npy, wholeFileAsATensor) {
  write("x.npy", npy("|u1", "1, 3", "abc"));
  Tensor t = readNpyTensor(path("x.npy"));
  EXPECT_EQ(t.elem, Elem::U8);
  EXPECT_THAT(t.shape, ElementsAre(1, 3));
}

TEST_F(Npy, fail_badHeaders) {
  SourceSpec spec{"npy", {"x.npy"}, {}};
  std::vector<Field> fields{tensor("v", Elem::F32)};
  struct Case {
    std::string bytes, message;
  };
  for (const Case &c : {Case{"not numpy at all", "expected an npy file"},
                        Case{npy("<f4", "2,", "12345678", "True"), "Fortran order"},
                        Case{npy("<c8", "1,", "12345678"), "expected integers"},
                        Case{npy("<U4", "1,", "12345678"), "expected integers"},
                        Case{npy("<f2", "1,", "12"), "expected integers, f4, f8"},
                        Case{npy("<f4", "3,", "12345678"), "ends after 8 bytes"},
                        Case{npy("<f4", "-3,", "12345678"), "shape cannot be read"},
                        Case{npy("<f4", "99999999999999999999,", "12345678"), "shape cannot be read"},
                        Case{npy("<f4", "9999999999, 9999999999", "12345678"), "too large"},
                        Case{npy("<f4", "", "1234"), "single number"},
                        Case{npy("<f4", "0,", ""), "holds no record"}}) {
    write("x.npy", c.bytes);
    EXPECT_THAT(error(spec, fields), HasSubstr(c.message));
  }
  // A header that ends with the type: nothing behind it is read.
  write("x.npy", std::string("\x93NUMPY\1\0\x0d\0", 10) + "'descr': '<f4");
  EXPECT_THAT(error(spec, fields), HasSubstr("expected integers, floats or bool"));
}
