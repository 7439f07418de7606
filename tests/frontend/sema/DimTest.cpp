#include "frontend/Dim.h"
#include <gtest/gtest.h>

using bigm::Dim;

namespace {
const Dim N = Dim::symbol("N"), T = Dim::symbol("T"), W = Dim::symbol("W");
}

TEST(Dim, equalExpressionsHaveOneNormalForm) {
  EXPECT_EQ((T * Dim(2)).floorDiv(2), T);
  EXPECT_EQ(N * T + T * N, Dim(2) * T * N);
  EXPECT_EQ(N - N, Dim(0));
  EXPECT_NE(N * T, N + T);
}

TEST(Dim, floorDivisionKeepsItsRemainderInside) {
  EXPECT_EQ((T * Dim(4) + Dim(7)).floorDiv(4), T + Dim(1));
  EXPECT_EQ(T.floorDiv(4) + T.floorDiv(4), T.floorDiv(4) * Dim(2));
  EXPECT_EQ(T.floorDiv(2).floorDiv(3), T.floorDiv(6));
  EXPECT_EQ(((T + Dim(1)).floorDiv(2) + Dim(1)).floorDiv(2), (T + Dim(3)).floorDiv(4));
  EXPECT_EQ(Dim(-1).floorDiv(2), Dim(-1));
}

TEST(Dim, printsAsTheUserWouldWrite) {
  EXPECT_EQ((T * Dim(2) + Dim(1)).str(), "2*T + 1");
  EXPECT_EQ(T.floorDiv(4).str(), "T/4");
  EXPECT_EQ(((T + Dim(1)).floorDiv(2) * N).str(), "(T + 1)/2*N");
  EXPECT_EQ((Dim(3) - N).str(), "3 - N");
  EXPECT_EQ((T - T.floorDiv(2)).str(), "T - T/2"); // not `-T/2 + T`, which would be (-T)/2 + T
  EXPECT_EQ((N - T.floorDiv(2) * N).str(), "N - T/2*N");
  EXPECT_EQ((Dim(0) - T.floorDiv(2)).str(), "-(T/2)");
  EXPECT_EQ(Dim(0).str(), "0");
}

TEST(Dim, substitutionEvaluatesWhatBecomesConstant) {
  Dim d = (T + Dim(3)).floorDiv(2) * N;
  auto put = [](const std::string &s) { return s == "T" ? std::optional<Dim>(9) : std::nullopt; };
  EXPECT_EQ(d.substitute(put), Dim(6) * N);
}

TEST(Dim, symbolsAreListedOnce) {
  std::vector<std::string> symbols;
  ((N * T).floorDiv(3) + N * W).symbols(symbols);
  EXPECT_EQ(symbols.size(), 3u);
}
