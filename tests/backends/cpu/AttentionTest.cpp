// Attention and its gradient on sizes that are no multiple of any block, against the reference backend. expectSame runs
// each on code for x86-64-v2, v3 and this machine, with 1 and 3 threads, and expects the same bits of both.
#include "Harness.h"
#include <gtest/gtest.h>

using bigm::test::expectSame;

namespace {
struct Shape {
  std::string queries, keys; // a number, or a symbol: S or T
  int heads, width;
  bool masked = false, causal = false;
  std::string bias = {}; // which sizes its bias has: of "nhi", others being 1
  const char *more = ""; // ` strict`, ` scale ...`
};

/// `tensor<?x7x2x5xf32, ...>` of sizes over the symbols N, S and T.
std::string tensor(const std::vector<std::string> &sizes, const char *element = "f32") {
  std::string dims, list;
  bool open = false;
  for (const std::string &size : sizes) {
    open |= bool(isalpha(size[0]));
    dims += (isalpha(size[0]) ? "?" : size) + "x";
    list += (list.empty() ? "" : ", ") + size;
  }
  return "tensor<" + dims + element + (open ? ", affine_map<()[N, S, T] -> (" + list + ")>>" : ">");
}

/// Values and statistic, or with `gradients` what comes of a cotangent %w of the values.
std::string program(const Shape &shape, bool gradients) {
  std::string heads = std::to_string(shape.heads), width = std::to_string(shape.width);
  std::string q = tensor({"N", shape.queries, heads, width}), k = tensor({"N", shape.keys, heads, width}),
              statistic = tensor({"N", heads, shape.queries}), bits = tensor({"N", shape.keys}, "i1"),
              sums = tensor({"N", shape.queries, heads});
  auto size = [&](char dim, const std::string &all) { return shape.bias.find(dim) == std::string::npos ? "1" : all; };
  bool biased = !shape.bias.empty();
  std::string bias = tensor({size('n', "N"), size('h', heads), size('i', shape.queries), shape.keys});
  std::string how = std::string(shape.masked ? " mask %m" : "") + (biased ? " bias %b" : "") +
                    (shape.causal ? " causal" : "") + shape.more,
              maskType = (shape.masked ? ", " + bits : "") + (biased ? ", " + bias : "");
  std::string dbias = gradients && biased ? ", " + bias : "";
  std::string text = "func.func @f(%q: " + q + ", %k: " + k + ", %v: " + k + ", %w: " + q +
                     (shape.masked ? ", %m: " + bits : "") + (biased ? ", %b: " + bias : "") + ") -> (" +
                     (gradients ? q + ", " + k + ", " + k + dbias : q + ", " + statistic) +
                     ") attributes {bigm.symbols = [\"N\", \"S\", \"T\"]} {\n  %y, %s = bigm.attention %q, %k, %v" + how +
                     " : (" + q + ", " + k + ", " + k + maskType + ") -> (" + q + ", " + statistic + ")\n";
  if (!gradients)
    return text + "  return %y, %s : " + q + ", " + statistic + "\n}\n";
  return text + "  %p = bigm.mul %y, %w : " + q + "\n  %r = bigm.reduce_sum %p, [3] : " + q + " -> " + sums +
         "\n  %d = bigm.view %r, affine_map<(n, h, i) -> (n, i, h)> : " + sums + " -> " + statistic +
         "\n  %g:" + (biased ? "4" : "3") + " = bigm.attention_grad %q, %k, %v, %w, %s, %d" + how + " : (" + q + ", " + k + ", " + k + ", " + q +
         ", " + statistic + ", " + statistic + maskType + ") -> (" + q + ", " + k + ", " + k + dbias +
         ")\n  return %g#0, %g#1, %g#2" + (biased ? ", %g#3" : "") + " : " + q + ", " + k + ", " + k + dbias + "\n}\n";
}

/// Symbols: N = 2, S and T as given.
void expectSameAttention(const Shape &shape, int64_t S, int64_t T) {
  for (bool gradients : {false, true}) {
    SCOPED_TRACE(shape.queries + " queries, " + shape.keys + " keys, width " + std::to_string(shape.width) +
                 (shape.masked ? ", masked" : "") + (shape.causal ? ", causal" : "") + ", bias " + shape.bias + shape.more + (gradients ? ", gradients" : ""));
    expectSame(program(shape, gradients), {2, S, T});
  }
}
} // namespace

TEST(Attention, OddSizes) {
  for (bool masked : {false, true})
    for (bool causal : {false, true})
      expectSameAttention({"T", "S", 3, 13, masked, causal}, 37, 29);
}
TEST(Attention, SizesThatAreKnown) {
  expectSameAttention({"64", "64", 2, 32, false, true}, 64, 64);
}
TEST(Attention, MoreKeysThanOneBlock) { expectSameAttention({"T", "S", 1, 20, true, true}, 301, 259); }
TEST(Attention, OneQuery) {
  expectSameAttention({"1", "S", 2, 32, false, true}, 75, 1);
  expectSameAttention({"T", "S", 2, 5, true, false}, 3, 1);
}
// Its weight is 1, and what is left of the gradient of the scores is rounding.
TEST(Attention, OneKey) { expectSame(program({"T", "1", 2, 7}, false), {2, 1, 20}); }
TEST(Attention, HeadsOfOneElement) { expectSameAttention({"T", "S", 2, 1, false, true}, 19, 19); }

// With `causal` the first T - S queries stand before all keys: they get the mean of all values.
TEST(Attention, QueriesThatSeeNothing) {
  expectSameAttention({"T", "S", 2, 16, false, true}, 9, 70);
  expectSameAttention({"T", "S", 2, 16, true, true}, 150, 170);
}

// A bias of any sizes; its gradient sums over those it has not.
TEST(Attention, Bias) {
  for (const char *bias : {"nhi", "hi", "i", "n", "h", "ni", "nh", "-"})
    expectSameAttention({"T", "S", 3, 13, false, false, bias}, 37, 29);
}
TEST(Attention, BiasWithMaskAndCausality) {
  for (bool masked : {false, true})
    expectSameAttention({"T", "S", 2, 20, masked, true, "hi"}, 301, 259);
  expectSameAttention({"64", "64", 2, 32, false, true, "hi"}, 64, 64);
}
TEST(Attention, ScaleOfItsOwn) { expectSameAttention({"T", "S", 2, 16, true, false, "hi", " scale 1.000000e+00"}, 40, 33); }
TEST(Attention, StrictlyHidden) { expectSameAttention({"T", "S", 2, 16, false, true, "hi", " strict"}, 140, 133); }

// Queries, keys, values and mask are parts of larger tensors, and are read there.
TEST(Attention, PartsOfOneTensor) {
  std::string x = tensor({"N", "T", "63"}), parts = tensor({"N", "T", "3", "3", "7"}), q = tensor({"N", "T", "3", "7"}),
              statistic = tensor({"N", "3", "T"}), bits = tensor({"T", "2", "N"}, "i1"), mask = tensor({"N", "T"}, "i1");
  std::string text = "func.func @f(%x: " + x + ", %b: " + bits + ") -> (" + q + ", " + q + ", " + q + ", " + q +
                     ") attributes {bigm.symbols = [\"N\", \"S\", \"T\"]} {\n  %p = bigm.reshape %x : " + x + " -> " +
                     parts + "\n  %m = bigm.view %b, affine_map<(n, j) -> (j, 1, n)> : " + bits + " -> " + mask + "\n";
  for (int part = 0; part < 3; ++part)
    text += "  %" + std::to_string(part) + " = bigm.view %p, affine_map<(n, i, h, d) -> (n, i, " + std::to_string(part) +
            ", h, d)> : " + parts + " -> " + q + "\n";
  text += "  %y, %s = bigm.attention %0, %1, %2 mask %m : (" + q + ", " + q + ", " + q + ", " + mask + ") -> (" + q + ", " +
          statistic + ")\n  %g:3 = bigm.attention_grad %0, %1, %2, %y, %s, %s mask %m : (" + q + ", " + q + ", " + q + ", " +
          q + ", " + statistic + ", " + statistic + ", " + mask + ") -> (" + q + ", " + q + ", " + q +
          ")\n  return %y, %g#0, %g#1, %g#2 : " + q + ", " + q + ", " + q + ", " + q + "\n}\n";
  expectSame(text, {2, 1, 45});
}

namespace {
/// New queries over kept rows, of which sequences have 0, 90 and 180 in any slots; also in f64, which runs as its parts.
void expectSameCached(const std::string &T, int heads, int groups, int width, std::vector<int64_t> symbols,
                      const char *element = "f32") {
  SCOPED_TRACE(T + " queries, " + std::to_string(heads) + " heads over " + std::to_string(groups) + ", width " +
               std::to_string(width) + ", " + element);
  std::string w = std::to_string(width), g = std::to_string(groups);
  std::string q = tensor({"N", T, std::to_string(heads), w}, element), k = tensor({"N", T, g, w}, element),
              kept = tensor({"3", "200", g, w}, element), number = tensor({"N"}, "i32");
  expectSame("func.func @f(%q: " + q + ", %k: " + k + ", %v: " + k + ", %keys: " + kept + ", %values: " + kept + ", %slot: " +
                 number + ", %third: " + number + ") -> " + q + " attributes {bigm.symbols = [\"N\", \"S\", \"T\"]} {\n" +
                 "  %c = bigm.constant 90 : i32 -> " + number + "\n  %past = bigm.mul %third, %c : " + number +
                 "\n  %y = bigm.cached_attention %q, %k, %v over %keys, %values at %slot, %past : (" + q + ", " + k + ", " +
                 k + ", " + kept + ", " + kept + ", " + number + ", " + number + ") -> " + q + "\n  return %y : " + q + "\n}\n",
             symbols);
}
} // namespace

TEST(CachedAttention, OneQuery) {
  expectSameCached("1", 2, 2, 64, {5, 1, 1});
  expectSameCached("T", 4, 1, 24, {5, 1, 1});
  expectSameCached("1", 9, 3, 64, {2, 1, 1}); // three heads for one of keys, and five
  expectSameCached("1", 10, 2, 40, {2, 1, 1});
}
TEST(CachedAttention, SeveralQueries) { expectSameCached("T", 6, 2, 32, {4, 1, 7}); }
TEST(CachedAttention, WidthsThatFillNoRegister) {
  expectSameCached("T", 2, 1, 13, {3, 1, 2});
  expectSameCached("T", 2, 2, 1, {3, 1, 2});
  expectSameCached("1", 3, 3, 130, {3, 1, 1});
}
TEST(CachedAttention, MoreNewRowsThanOneBlock) { expectSameCached("T", 1, 1, 8, {2, 1, 70}); }
TEST(CachedAttention, InItsParts) { expectSameCached("T", 4, 2, 6, {4, 1, 3}, "f64"); }
