#include "runtime/generate/StopText.h"
#include <gtest/gtest.h>

using bigm::generate::StopText;

namespace {
/// Feeds pieces; gives what was handed on, piece by piece, and the text in the end.
std::vector<std::string> feed(const std::vector<std::string> &stops, const std::vector<std::string> &pieces) {
  StopText text(stops);
  std::vector<std::string> handed;
  bool stopped = false;
  for (const std::string &piece : pieces) {
    text.text += piece;
    stopped = text.add();
    handed.emplace_back(text.ready(stopped));
    if (stopped)
      break;
  }
  handed.emplace_back(text.ready(true));
  handed.push_back(stopped ? "stopped" : "open");
  handed.push_back(text.text);
  return handed;
}
using List = std::vector<std::string>;
} // namespace

TEST(StopText, NoStops) { EXPECT_EQ(feed({}, {"a", "b"}), (List{"a", "b", "", "open", "ab"})); }
TEST(StopText, InsideOnePiece) { EXPECT_EQ(feed({"END"}, {"abEND more"}), (List{"ab", "", "stopped", "ab"})); }
TEST(StopText, AcrossPieces) {
  EXPECT_EQ(feed({"END"}, {"abE", "N", "D", "x"}), (List{"ab", "", "", "", "stopped", "ab"}));
}
TEST(StopText, WhatOnlyBeginsLikeOneIsHandedOnLater) {
  EXPECT_EQ(feed({"END"}, {"aE", "Nx", "EN"}), (List{"a", "ENx", "", "EN", "open", "aENxEN"}));
}
TEST(StopText, TheFirstOfSeveral) { EXPECT_EQ(feed({"cd", "b"}, {"abcd"}), (List{"a", "", "stopped", "a"})); }
TEST(StopText, OneThatOverlapsItself) {
  EXPECT_EQ(feed({"aab"}, {"a", "a", "a", "b"}), (List{"", "", "a", "", "", "stopped", "a"}));
}
