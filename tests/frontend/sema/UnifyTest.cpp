#include "frontend/sema/Unify.h"
#include <gtest/gtest.h>

using namespace bigm;
using namespace bigm::sema;

namespace {
Dim open(const char *name) { return Dim::symbol(freeName(name)); }
const Dim N = Dim::symbol("N");
} // namespace

TEST(Unify, theFirstValueFixesANameAndLaterOnesMustAgree) {
  Bindings b;
  EXPECT_EQ(unify(open("D"), N, b), Match::Bound);
  EXPECT_EQ(b.at("D"), N);
  EXPECT_EQ(unify(open("D"), N, b), Match::Equal);
  EXPECT_EQ(unify(open("D"), Dim(3), b), Match::Different);
}

TEST(Unify, solvesForANameThatStandsLinearly) {
  Bindings b;
  EXPECT_EQ(unify(open("D") * Dim(2) + Dim(1), Dim(65), b), Match::Bound);
  EXPECT_EQ(b.at("D"), Dim(32));
  Bindings c;
  EXPECT_EQ(unify(open("D") * N, N * Dim(8), c), Match::Bound);
  EXPECT_EQ(c.at("D"), Dim(8));
}

TEST(Unify, refusesWhatDoesNotDivide) {
  Bindings b;
  EXPECT_EQ(unify(open("D") * Dim(2), Dim(65), b), Match::Different);
  EXPECT_EQ(unify(open("D") + Dim(9), Dim(5), b), Match::Different); // a size is not negative
}

TEST(Unify, defersWhatCannotBeSolvedYet) {
  Bindings b;
  EXPECT_EQ(unify(open("T").floorDiv(4), Dim(16), b), Match::Deferred);
  EXPECT_EQ(unify(open("A") * open("B"), Dim(12), b), Match::Deferred);
  b["A"] = 3;
  EXPECT_EQ(unify(open("A") * open("B"), Dim(12), b), Match::Bound);
  EXPECT_EQ(b.at("B"), Dim(4));
}

TEST(Unify, dividesProducts) {
  EXPECT_EQ(divideExactly(N * Dim(12), N * Dim(4)), Dim(3));
  EXPECT_FALSE(divideExactly(N * Dim(12), Dim(5)));
  EXPECT_FALSE(divideExactly(Dim(12), N));
}
