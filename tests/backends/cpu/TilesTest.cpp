// Products on the tile registers of AMX, f32 in three pieces of bf16, on sizes that fill no tile, against the reference
// backend. Where the machine has no AMX the same products run as any others.
#include "Harness.h"
#include "backends/cpu/Target.h"
#include <algorithm>
#include <gtest/gtest.h>

using bigm::test::expectSame;

namespace {
bool hostHasTiles() { return mlir::bigm::cpu::parseTarget("host")->tiles; }

/// How many contractions run on tiles.
int onTiles(const std::string &text) {
  auto context = bigm::test::makeContext();
  bigm::test::Loaded loaded(*context, text, "host");
  std::string dump = loaded.code->dumpAt("fused");
  int count = 0;
  for (size_t at = 0; (at = dump.find("on_tiles", at)) != std::string::npos; ++at)
    ++count;
  return count;
}
void expectOnTiles(const std::string &text, int count) {
  if (hostHasTiles())
    EXPECT_EQ(onTiles(text), count);
}

/// A layer of `i` to `o` features on `t` rows an input, by weights kept either way, and its two gradients.
std::string layer(const std::string &t, const std::string &i, const std::string &o) {
  std::string text = R"(#x = affine_map<()[s0] -> (s0, $T, $I)>
    #y = affine_map<()[s0] -> (s0, $T, $O)>
    func.func @f(%x: tensor<?x$Tx$Ixf32, #x>, %w: tensor<$Ix$Oxf32>, %v: tensor<$Ox$Ixf32>, %g: tensor<?x$Tx$Oxf32, #y>)
        -> (tensor<?x$Tx$Oxf32, #y>, tensor<?x$Tx$Oxf32, #y>, tensor<?x$Tx$Ixf32, #x>, tensor<$Ox$Ixf32>, tensor<$Ix$Oxf32>)
        attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %x, %w lhs affine_map<(n, t, o, i) -> (n, t, i)> rhs affine_map<(n, t, o, i) -> (i, o)>
        reduced affine_map<()[s0] -> ($I)> : (tensor<?x$Tx$Ixf32, #x>, tensor<$Ix$Oxf32>) -> tensor<?x$Tx$Oxf32, #y>
    %b = bigm.contract %x, %v lhs affine_map<(n, t, o, i) -> (n, t, i)> rhs affine_map<(n, t, o, i) -> (o, i)>
        reduced affine_map<()[s0] -> ($I)> : (tensor<?x$Tx$Ixf32, #x>, tensor<$Ox$Ixf32>) -> tensor<?x$Tx$Oxf32, #y>
    %c = bigm.contract %g, %w lhs affine_map<(n, t, i, o) -> (n, t, o)> rhs affine_map<(n, t, i, o) -> (i, o)>
        reduced affine_map<()[s0] -> ($O)> : (tensor<?x$Tx$Oxf32, #y>, tensor<$Ix$Oxf32>) -> tensor<?x$Tx$Ixf32, #x>
    %d = bigm.contract %g, %x lhs affine_map<(o, i, n, t) -> (n, t, o)> rhs affine_map<(o, i, n, t) -> (n, t, i)>
        reduced affine_map<()[s0] -> (s0, $T)> : (tensor<?x$Tx$Oxf32, #y>, tensor<?x$Tx$Ixf32, #x>) -> tensor<$Ox$Ixf32>
    %e = bigm.contract %x, %g lhs affine_map<(i, o, n, t) -> (n, t, i)> rhs affine_map<(i, o, n, t) -> (n, t, o)>
        reduced affine_map<()[s0] -> (s0, $T)> : (tensor<?x$Tx$Ixf32, #x>, tensor<?x$Tx$Oxf32, #y>) -> tensor<$Ix$Oxf32>
    return %a, %b, %c, %d, %e : tensor<?x$Tx$Oxf32, #y>, tensor<?x$Tx$Oxf32, #y>, tensor<?x$Tx$Ixf32, #x>, tensor<$Ox$Ixf32>, tensor<$Ix$Oxf32> })";
  for (size_t at; (at = text.find('$')) != std::string::npos;)
    text.replace(at, 2, text[at + 1] == 'T' ? t : text[at + 1] == 'I' ? i : o);
  return text;
}
} // namespace

TEST(Tiles, LayersAndTheirGradients) {
  for (auto [t, i, o] : {std::array{"64", "96", "160"}, {"95", "127", "95"}, {"47", "395", "131"}})
    for (int64_t n : {1, 3}) {
      SCOPED_TRACE(std::string(t) + " x " + i + " x " + o + ", " + std::to_string(n));
      expectSame(layer(t, i, o), {n});
    }
  expectOnTiles(layer("96", "128", "160"), 5);
}
