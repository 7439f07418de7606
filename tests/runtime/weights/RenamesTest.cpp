#include "runtime/weights/Renames.h"
#include "runtime/data/Error.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using bigm::weights::Renamed;
using bigm::weights::Renames;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {
std::string name(const Renames &r, const std::string &from) { return r(from).name; }
std::string error(std::vector<std::pair<std::string, std::string>> rules) {
  try {
    Renames r(rules);
    return "";
  } catch (const bigm::data::Error &e) {
    return e.what();
  }
}
} // namespace

TEST(Renames, WhatNoRuleMatchesStays) {
  Renames r({{"a", "b"}});
  EXPECT_EQ(name(r, "a"), "b");
  EXPECT_EQ(name(r, "a.weight"), "a.weight");
}

TEST(Renames, NumbersMove) {
  Renames r({{"h.{i}.fc.{rest}", "layer_{i+1}.fc.{rest}"}, {"g.{n}", "g{n-2}"}});
  EXPECT_EQ(name(r, "h.11.fc.weight"), "layer_12.fc.weight");
  EXPECT_EQ(name(r, "h.0.fc.out.bias"), "layer_1.fc.out.bias");
  EXPECT_EQ(name(r, "g.7"), "g5");
  EXPECT_EQ(name(r, "h.x.fc.weight"), "h.x.fc.weight") << "a placeholder of one letter is a number";
}

TEST(Renames, TheFirstRuleThatMatchesDecides) {
  Renames r({{"pooler.{rest}", ""}, {"{any}.gamma", "{any}.weight"}, {"{any}", "all.{any}"}});
  EXPECT_EQ(name(r, "pooler.gamma"), "");
  EXPECT_EQ(name(r, "a.b.gamma"), "a.b.weight");
  EXPECT_EQ(name(r, "x"), "all.x");
}

TEST(Renames, AlternativesArePartsOfOneTensor) {
  Renames r({{"l.{i}.[q|k|v].{rest}", "l_{i}.qkv.{rest}"}});
  Renamed k = r("l.3.k.bias");
  EXPECT_EQ(k.name, "l_3.qkv.bias");
  EXPECT_EQ(k.part, 1u);
  EXPECT_EQ(k.parts, 3u);
  EXPECT_EQ(name(r, "l.3.o.bias"), "l.3.o.bias");
}

TEST(Renames, TransposedAndTheSamePlaceholderTwice) {
  Renames r({{"{i}.w.{i}", "w{i}^T"}});
  EXPECT_EQ(r("4.w.4").order, (std::vector<size_t>{1, 0}));
  EXPECT_EQ(name(r, "4.w.4"), "w4");
  EXPECT_EQ(name(r, "4.w.5"), "4.w.5");
}

TEST(Renames, SayWhichRulesMatchedNothing) {
  Renames r({{"a", "b"}, {"c.[d|e]", "f"}});
  r("a");
  EXPECT_THAT(r.unused(), ElementsAre("c.[d|e]"));
}

TEST(Renames, BadRulesAreErrors) {
  EXPECT_THAT(error({{"a.{i", "b"}}), HasSubstr("opens a brace"));
  EXPECT_THAT(error({{"a.{}", "b"}}), HasSubstr("letters in braces"));
  EXPECT_THAT(error({{"a.[b|c", "d"}}), HasSubstr("brackets"));
  EXPECT_THAT(error({{"a.{i}", "b.{j}"}}), HasSubstr("its left side does not have"));
  EXPECT_THAT(error({{"a.{i}", "b.{i+x}"}}), HasSubstr("no number"));
  EXPECT_THAT(error({{"a.{rest}", "b.{rest+1}"}}), HasSubstr("no number"));
}

TEST(Renames, AHostileNameEnds) {
  Renames r({{"{aa}{bb}{cc}{dd}{ee}{ff}x", "y"}});
  EXPECT_THROW(r(std::string(2000, 'z')), bigm::data::Error);
}
