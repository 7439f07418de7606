// A whole function from a file, for compiler engineers: compares it with the reference and times it.
//   BIGM_CPU_FILE=step.mlir BIGM_CPU_SYMBOLS=128 BIGM_CPU_REPEATS=20 bigm-backends-cpu-tests --gtest_filter=File.*
// BIGM_CPU_INIT=FILE is a function whose results are the values of the tensors, BIGM_CPU_TOLERANCE another than 1e-3.
// BIGM_CPU_DUMP=FILE writes the nests, BIGM_CPU_KEEP=FILE keeps the library, BIGM_CPU_PROFILE=1 prints the time of each
// kernel by its address in that library, BIGM_CPU_TARGET=x86-64-v3 times the code for another machine.
#include "Harness.h"
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <iostream>
#include <sstream>

namespace {
std::string fileText(const char *variable = "BIGM_CPU_FILE") {
  const char *path = std::getenv(variable);
  std::ifstream in(path ? path : "");
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}
std::vector<int64_t> symbolValues(const char *variable, const char *otherwise) {
  const char *given = std::getenv(variable);
  std::stringstream in(given ? given : otherwise);
  std::vector<int64_t> values;
  for (int64_t value; in >> value;)
    values.push_back(value);
  return values;
}
} // namespace

TEST(File, MatchesReference) {
  if (!std::getenv("BIGM_CPU_FILE"))
    GTEST_SKIP() << "set BIGM_CPU_FILE";
  const char *tolerance = std::getenv("BIGM_CPU_TOLERANCE");
  bigm::test::expectSame(fileText(), symbolValues("BIGM_CPU_CHECK_SYMBOLS", "3"), tolerance ? std::atof(tolerance) : 1e-3,
                         fileText("BIGM_CPU_INIT"));
}

TEST(File, Time) {
  if (!std::getenv("BIGM_CPU_FILE"))
    GTEST_SKIP() << "set BIGM_CPU_FILE";
  auto context = bigm::test::makeContext();
  const char *target = std::getenv("BIGM_CPU_TARGET");
  bigm::test::Loaded loaded(*context, fileText(), target ? target : "host");
  ASSERT_TRUE(loaded.ok());
  std::vector<int64_t> symbols = symbolValues("BIGM_CPU_SYMBOLS", "128");
  int repeats = int(symbolValues("BIGM_CPU_REPEATS", "10")[0]);
  for (int threads : {1, 2}) {
    double time = loaded.time(symbols, threads, repeats);
    std::cout << threads << " threads: " << time << " ms\n";
  }
  if (const char *dump = std::getenv("BIGM_CPU_DUMP"))
    std::ofstream(dump) << loaded.code->dumpAt("fused");
  std::cout << loaded.code->plan()[0].kernels << " launches, arena " << loaded.arenaBytes(symbols) / 1e6 << " MB\n";
}
