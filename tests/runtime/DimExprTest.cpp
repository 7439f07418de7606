#include "Toy.h"
#include "runtime/core/DimExpr.h"
#include "runtime/core/Failure.h"

using namespace bigm::rt;

static const std::vector<std::string> symbols = {"N", "T", "größe"};
static int64_t value(const char *text, std::vector<int64_t> dims = {5, 7, 2}) { return DimExpr::parse(text, symbols).eval(dims.data()); }

TEST(DimExpr, Evaluates) {
  EXPECT_EQ(value("12"), 12);
  EXPECT_EQ(value("N"), 5);
  EXPECT_EQ(value("2*T + 1"), 15);
  EXPECT_EQ(value("T/4"), 1);
  EXPECT_EQ(value("(N - T)/2"), -1) << "floor, not towards zero";
  EXPECT_EQ(value("-2*N*T + 3*(T/2)"), -61);
  EXPECT_EQ(value("N*größe"), 10);
  EXPECT_EQ(value("N - T - 1"), -3) << "left to right";
}
TEST(DimExpr, RefusesWhatItCannotRead) {
  for (const char *text : {"", "+", "N +", "(N", "N)", "2 N", "X", "N ** 2", "99999999999999999999", "1x"})
    EXPECT_THROW(DimExpr::parse(text, symbols), Failure) << text;
  EXPECT_THROW(DimExpr::parse(std::string(100000, '('), symbols), Failure);
  EXPECT_THROW(DimExpr::parse(std::string(100000, '-'), symbols), Failure);
}
TEST(DimExpr, FailsInsteadOfWrapping) {
  EXPECT_THROW(value("N*N", {int64_t(1) << 40, 1, 1}), Failure);
  EXPECT_THROW(value("T/N", {0, 1, 1}), Failure);
}

static std::vector<int64_t> solved(std::vector<const char *> texts, std::vector<int64_t> sizes) {
  std::vector<DimExpr> exprs;
  for (const char *text : texts)
    exprs.push_back(DimExpr::parse(text, symbols));
  std::vector<const DimExpr *> pointers;
  for (auto &expr : exprs)
    pointers.push_back(&expr);
  std::vector<int64_t> dims(3);
  dims[2] = 1;
  return solve(pointers, sizes, dims) ? dims : std::vector<int64_t>{};
}
TEST(DimExpr, Solves) {
  EXPECT_EQ(solved({"N", "T"}, {4, 9}), (std::vector<int64_t>{4, 9, 1}));
  EXPECT_EQ(solved({"2*N + T", "T"}, {17, 9}), (std::vector<int64_t>{4, 9, 1})) << "the second opens the first";
  EXPECT_EQ(solved({"3*N - 1", "T"}, {8, 1}), (std::vector<int64_t>{3, 1, 1}));
}
TEST(DimExpr, LeavesOpenWhatHasNoOneAnswer) {
  EXPECT_TRUE(solved({"N/2", "T"}, {3, 9}).empty()) << "6 and 7 both give 3";
  EXPECT_TRUE(solved({"N*T"}, {12}).empty());
  EXPECT_TRUE(solved({"2*N", "T"}, {5, 1}).empty());
  EXPECT_TRUE(solved({"N", "T"}, {0, 1}).empty()) << "a symbol is at least 1";
}
