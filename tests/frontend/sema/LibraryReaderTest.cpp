#include "frontend/sema/LibraryReader.h"
#include <gtest/gtest.h>

using bigm::sema::LibraryReader;

namespace {
const std::map<std::string, std::string> kTexts = {
    {"std.a", "# About.\nuse std.b, std.c\n\n# One.\nfn one(x: f32) { two(x) }\nfn other(\n  x: f32) { x }\n"},
    {"std.b", "fn two(x: f32) {\n  x\n}\n\nfn three(x: f32) { x }\n"}};
}

TEST(LibraryReader, keepsWhatIsNamedAndWhatThatNames) {
  LibraryReader r(kTexts);
  r.need("model M()(x: f32) { one(x) }");
  EXPECT_EQ(r.wanted("std.a"), "# About.\nuse std.b, std.c\n\n# One.\nfn one(x: f32) { two(x) }\n\n\n");
  EXPECT_EQ(r.wanted("std.b"), "fn two(x: f32) {\n  x\n}\n\n\n");
}

TEST(LibraryReader, aWordInAStringOrACommentIsNoName) {
  LibraryReader r(kTexts);
  r.need("x = \"# one \\\" three\" # other\ny = two");
  EXPECT_EQ(r.wanted("std.a"), "# About.\nuse std.b, std.c\n\n# One.\n\n\n\n");
  EXPECT_NE(r.wanted("std.b").find("two"), std::string::npos);
}

TEST(LibraryReader, knowsAllNamesAndUses) {
  LibraryReader r(kTexts);
  EXPECT_EQ(r.names("std.a"), (std::vector<std::string>{"one", "other"}));
  EXPECT_EQ(LibraryReader::uses(kTexts.at("std.a")), (std::vector<std::string>{"std.b", "std.c"}));
}
