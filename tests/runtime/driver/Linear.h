// A program of the smallest kind that uses everything the driver does, written by hand as the compiler would emit it: a
// softmax classifier that tells red, green and blue pictures apart.
//
//   data colours   csv("colours.csv"): picture u8[3, 4, 4], colour label{red, green, blue}; split 60 / 20, test 16
//   fit normal     mean of the picture, one number for each channel
//   train linear   logits = (mean of each channel - normal.mean) * w + b; momentum; phases `first` and `second`
//   evaluate       accuracy and loss
#pragma once
#include "bigm/bigm.h"
#include "runtime/driver/Driver.h"
#include <atomic>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace bigm::driver {

/// Behaviour of the module that a test may change.
struct LinearSwitches {
  std::atomic<int> nanAtStep{-1};     // the step with this number gives a NaN
  std::atomic<int64_t> steps{0};      // train steps run so far
  std::atomic<int> estimates{0};      // calls of linear.estimate
};
extern LinearSwitches linearSwitches;

struct LinearProgram : testing::Test {
  std::string dir;            // holds the data and the runs
  nlohmann::ordered_json manifest;

  void SetUp() override;
  void TearDown() override;

  /// The module of `manifest` as it is now.
  bigm_module *module();
  TrainOptions options(const std::string &run) const;
  Result trainInto(const std::string &run, bool resume = false);
  std::string path(const std::string &name) const { return dir + "/" + name; }
  std::string contents(const std::string &name) const;
  void write(const std::string &name, const std::string &bytes) const { std::ofstream(path(name), std::ios::binary) << bytes; }
  nlohmann::json json(const std::string &name) const { return nlohmann::json::parse(contents(name)); }
  std::vector<nlohmann::json> lines(const std::string &name) const;
  /// What the driver wrote to its log so far.
  std::string log() const;

private:
  std::string text; // of the manifest, which modules point at
  std::vector<std::pair<std::string, bigm_module *>> modules;
  std::FILE *logFile = nullptr;
};

} // namespace bigm::driver
