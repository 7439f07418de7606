#include "frontend/Source.h"
#include <gtest/gtest.h>

using namespace bigm;

TEST(Source, linesAndColumnsStartAtOneAndCountCodePoints) {
  SourceManager sources;
  uint32_t file = sources.add("a.bigm", "xy\nаб c\r\n");
  EXPECT_EQ(sources.place(file, 0).line, 1u);
  EXPECT_EQ(sources.place(file, 0).column, 1u);
  EXPECT_EQ(sources.place(file, 2).column, 3u);
  // Cyrillic letters are two bytes each: `c` begins at byte 3 + 5.
  EXPECT_EQ(sources.place(file, 8).line, 2u);
  EXPECT_EQ(sources.place(file, 8).column, 4u);
  EXPECT_EQ(sources.line(file, 2), "аб c");
  EXPECT_EQ(sources.line(file, 3), "");
  EXPECT_EQ(sources.line(file, 4), "");
}

TEST(Source, placesBehindTheEndAreTheEnd) {
  SourceManager sources;
  uint32_t file = sources.add("a.bigm", "ab");
  EXPECT_EQ(sources.place(file, 100).column, 3u);
  EXPECT_EQ(sources.text({file, 1, 100}), "b");
  EXPECT_EQ(sources.text({file, 50, 100}), "");
  EXPECT_EQ(sources.text(SourceRange{}), "");
}

TEST(Source, aByteOrderMarkBelongsToNoLine) {
  SourceManager sources;
  uint32_t file = sources.add("a.bigm", "\xEF\xBB\xBFx y");
  EXPECT_EQ(sources.line(file, 1), "x y");
  EXPECT_EQ(sources.place(file, 3).column, 1u);
  EXPECT_EQ(sources.place(file, 5).column, 3u);
}

TEST(Source, filesKeepTheirNumbers) {
  SourceManager sources;
  uint32_t first = sources.add("a", "1"), second = sources.add("b", "2");
  EXPECT_EQ(sources.name(first), "a");
  EXPECT_EQ(sources.text(second), "2");
}
