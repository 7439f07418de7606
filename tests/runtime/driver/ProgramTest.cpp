#include "runtime/driver/Program.h"
#include "runtime/driver/Progress.h"
#include "runtime/driver/Session.h"
#include <gtest/gtest.h>

using namespace bigm::driver;

TEST(Program, sizesAreExpressions) {
  std::vector<std::string> symbols{"N", "T"};
  auto value = [&](const char *text) { return sizeOf(text, symbols, {3, 10}); };
  EXPECT_EQ(value("7"), 7);
  EXPECT_EQ(value("N"), 3);
  EXPECT_EQ(value("2*T + N"), 23);
  EXPECT_EQ(value("(T - 1)/4*N"), 6);
  EXPECT_EQ(value("(N - T)/4"), -2); // floor
  EXPECT_THROW(value("M"), std::runtime_error);
  EXPECT_THROW(value("N +"), std::runtime_error);
  EXPECT_THROW(value("(N"), std::runtime_error);
  EXPECT_THROW(value("N N"), std::runtime_error);
  EXPECT_THROW(value("N/0"), std::runtime_error);
}

TEST(Program, fail_manifestsThatAreNone) {
  EXPECT_THROW(parseProgram("no json"), std::runtime_error);
  EXPECT_THROW(parseProgram("{}"), std::runtime_error);
  EXPECT_THROW(parseProgram(R"({"tensors": [{"name": "x", "dtype": "f33", "shape": []}], "functions": []})"), std::runtime_error);
}

TEST(Progress, timesAndCounts) {
  EXPECT_EQ(clockText(7.4), "0:07");
  EXPECT_EQ(clockText(723), "12:03");
  EXPECT_EQ(clockText(3723), "1:02:03");
  EXPECT_EQ(countText(7), "7");
  EXPECT_EQ(countText(12430.2), "12,430");
  EXPECT_EQ(countText(1234567), "1,234,567");
}

TEST(Session, anAccuracyPassesTheGateThatItEquals) {
  EXPECT_EQ(plain(9920.0f / 10000.0f), 0.992);
  EXPECT_EQ(plain(1), 1);
  EXPECT_LT(plain(0.9919f), 0.992);
}
