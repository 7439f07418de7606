// The inner loops of the hot kernels keep all their vectors in registers: a block that is one register too large runs ten
// times slower (8x48 on AVX-512: 22 instead of 250 GFLOP/s), and no numeric test sees it.
#include "Harness.h"
#include "backends/cpu/Target.h"
#include "mlir/Parser/Parser.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <sstream>

namespace {
std::vector<std::string> assemblyOf(const std::string &text, const std::string &target) {
  auto context = bigm::test::makeContext();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, context.get());
  mlir::bigm::cpu::CpuOptions options;
  options.target = target;
  auto code = module ? mlir::bigm::cpu::CpuModule::lower(*module, options) : nullptr;
  std::istringstream in(code ? code->dumpAt("asm") : "");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

struct Loops {
  int found = 0;      // innermost loops that multiply and add
  int largest = 0;    // multiply-adds in one of them
  std::string spills; // instructions in them that move a vector from or to the stack
};

/// With `products` only those count that multiply by a number of each row.
Loops innerLoopsOf(const std::vector<std::string> &lines, bool products = false) {
  std::map<std::string, size_t> labels;
  Loops loops;
  bool framed = false; // %rbp is the frame of the function, else a register like others
  size_t lastHead = 0; // of the loops that ended so far, the one that begins last
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string &line = lines[i];
    if (size_t colon = line.find(':'); line.rfind(".LBB", 0) == 0 && colon != std::string::npos) {
      labels[line.substr(0, colon)] = i;
      continue;
    }
    framed = (framed && line.find(".cfi_endproc") == std::string::npos) || line.find("%rsp, %rbp") != std::string::npos;
    std::istringstream words(line);
    std::string operation, target;
    words >> operation >> target;
    auto label = labels.find(target);
    if (operation.rfind("j", 0) != 0 || label == labels.end())
      continue;
    size_t head = label->second;
    bool innermost = head >= lastHead;
    lastHead = std::max(lastHead, head);
    if (!innermost)
      continue;
    int adds = 0, broadcasts = 0;
    std::string spills;
    for (size_t k = head; k < i; ++k) {
      adds += lines[k].find("vfmadd") != std::string::npos;
      broadcasts += (lines[k].find("vbroadcastss") != std::string::npos || lines[k].find("{1to") != std::string::npos) &&
                    lines[k].find("(%rip)") == std::string::npos;
      bool vector = lines[k].find("%ymm") != std::string::npos || lines[k].find("%zmm") != std::string::npos;
      bool stack = lines[k].find("(%rsp") != std::string::npos || (framed && lines[k].find("(%rbp") != std::string::npos);
      if (vector && stack)
        spills += lines[k] + "\n";
    }
    if (adds < 4 || (products && broadcasts < 4))
      continue;
    ++loops.found;
    loops.largest = std::max(loops.largest, adds);
    loops.spills += spills;
  }
  return loops;
}

void expectNoSpills(const std::string &text, bool products = false) {
  for (const char *target : {"x86-64-v3", "x86-64-v4"}) {
    SCOPED_TRACE(target);
    Loops loops = innerLoopsOf(assemblyOf(text, target), products);
    EXPECT_GT(loops.found, 0) << "no loop that multiplies and adds";
    EXPECT_GE(loops.largest, 8) << "the block is small";
    EXPECT_EQ(loops.spills, "");
  }
}
} // namespace

TEST(Spills, TheCheckSeesThem) {
  std::vector<std::string> loop = {".LBB0_1:", "vfmadd231ps %ymm0, %ymm1, %ymm2", "vfmadd231ps %ymm0, %ymm1, %ymm3",
                                   "vfmadd231ps %ymm0, %ymm1, %ymm4", "vfmadd231ps %ymm0, %ymm1, %ymm5",
                                   "jne\t.LBB0_1"};
  EXPECT_EQ(innerLoopsOf(loop).found, 1);
  EXPECT_EQ(innerLoopsOf(loop).spills, "");
  loop.insert(loop.begin() + 1, "vmovups %ymm0, 32(%rsp)");
  EXPECT_NE(innerLoopsOf(loop).spills, "");
}

TEST(Spills, Matrices) {
  for (int64_t size : {96, 512, 1000}) {
    SCOPED_TRACE(size);
    std::string n = std::to_string(size), t = "tensor<" + n + "x" + n + "xf32>";
    expectNoSpills("func.func @f(%x: " + t + ", %w: " + t + ") -> " + t + " {\n" +
                   "%c = bigm.contract %x, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)> "
                   "reduced affine_map<() -> (" +
                   n + ")> : (" + t + ", " + t + ") -> " + t + "\nreturn %c : " + t + " }");
  }
}

TEST(Spills, ARowAloneHasSeveralChains) {
  // Two registers abreast are two sums, of which each step would wait for the one before.
  for (const char *element : {"f32", "bf16", "i8"}) {
    SCOPED_TRACE(element);
    std::string w = std::string("tensor<576x192x") + element + ">", wide = "tensor<576x192xf32>";
    std::string widen = element == std::string("f32") ? "" : "%v = bigm.cast %w : " + w + " -> " + wide + "\n";
    expectNoSpills("func.func @f(%x: tensor<1x576xf32>, %w: " + w + " {bigm.tensor = 0 : i64}) -> tensor<1x192xf32> {\n" + widen +
                   "%c = bigm.contract %x, " + (widen.empty() ? "%w" : "%v") +
                   " lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)> "
                   "reduced affine_map<() -> (576)> : (tensor<1x576xf32>, " + wide + ") -> tensor<1x192xf32>\n"
                   "return %c : tensor<1x192xf32> }");
  }
}

TEST(Spills, OnlyPanelsThatFollowAreAskedFor) {
  // A block asks for the panel that comes next while it sums: where panels are several.
  auto product = [](const std::string &columns) {
    std::string w = "tensor<512x" + columns + "xf32>", y = "tensor<512x" + columns + "xf32>";
    return "func.func @f(%x: tensor<512x512xf32>, %w: " + w + ") -> " + y + " {\n" +
           "%c = bigm.contract %x, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)> "
           "reduced affine_map<() -> (512)> : (tensor<512x512xf32>, " + w + ") -> " + y + "\nreturn %c : " + y + " }";
  };
  auto asks = [](const std::vector<std::string> &lines) {
    return std::count_if(lines.begin(), lines.end(), [](auto &line) { return line.find("prefetcht1") != std::string::npos; });
  };
  for (const char *target : {"x86-64-v3", "x86-64-v4"}) {
    EXPECT_GT(asks(assemblyOf(product("512"), target)), 0) << target;
    EXPECT_EQ(asks(assemblyOf(product("8"), target)), 0) << target;
  }
}

TEST(Spills, ProductsOfBf16RunOnTilesWhereTheMachineHasThem) {
  auto product = [](const std::string &size, const std::string &element) {
    std::string t = "tensor<" + size + "x" + size + "x" + element + ">";
    return "func.func @f(%x: " + t + ", %w: " + t + ") -> " + t + " {\n" +
           "%c = bigm.contract %x, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)> "
           "reduced affine_map<() -> (" + size + ")> : (" + t + ", " + t + ") -> " + t + "\nreturn %c : " + t + " }";
  };
  auto onTiles = [](const std::vector<std::string> &lines) {
    return std::any_of(lines.begin(), lines.end(), [](auto &line) { return line.find("tdpbf16ps") != std::string::npos; });
  };
  EXPECT_TRUE(onTiles(assemblyOf(product("100", "bf16"), "sapphirerapids")));
  EXPECT_FALSE(onTiles(assemblyOf(product("8", "bf16"), "sapphirerapids"))); // too small to be worth their configuration
  EXPECT_FALSE(onTiles(assemblyOf(product("100", "f32"), "sapphirerapids")));
  EXPECT_FALSE(onTiles(assemblyOf(product("100", "bf16"), "znver4")));
}

TEST(Spills, ProductsOfBf16RunInPairsWhereTheMachineAddsThem) {
  auto dots = [](const std::string &type, const std::string &target) {
    auto lines = assemblyOf("func.func @f(%x: " + type + ", %w: " + type + ") -> " + type + " {\n" +
                                "%c = bigm.contract %x, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)> "
                                "reduced affine_map<() -> (300)> : (" + type + ", " + type + ") -> " + type + "\nreturn %c : " + type + " }",
                            target);
    // The check of loops counts multiply-adds by name.
    for (std::string &line : lines)
      if (size_t at = line.find("vdpbf16ps"); at != std::string::npos)
        line.replace(at, 9, "vfmadd231ps");
      else if (line.find("vfmadd") != std::string::npos)
        line.clear();
    return innerLoopsOf(lines);
  };
  Loops loops = dots("tensor<300x300xbf16>", "znver4");
  EXPECT_GE(loops.largest, 8);
  EXPECT_EQ(loops.spills, "");
  EXPECT_EQ(dots("tensor<300x300xf32>", "znver4").found, 0);
  EXPECT_EQ(dots("tensor<300x300xbf16>", "x86-64-v4").found, 0);
}

TEST(Spills, ConvolutionsOfBytesInPairs) {
  // Filtered, and with stride 2.
  for (const char *stride : {"1", "2"}) {
    std::string side = stride[0] == '1' ? "30" : "57";
    std::string text = "#x = affine_map<()[s0] -> (s0, " + side + ", " + side + ", 64)>\n#y = affine_map<()[s0] -> (s0, 28, 28, 64)>\n" +
                       "func.func @f(%x: tensor<?x" + side + "x" + side + "x64xui8, #x>, %w: tensor<64x64x3x3xi8> {bigm.tensor = 0 : i64}) -> tensor<?x28x28x64xi32, #y> " +
                       "attributes {bigm.symbols = [\"N\"]} {\n%c = bigm.contract %x, %w lhs affine_map<(n, h, w, o, c, i, j) -> (n, h * " + stride + " + i, w * " + stride +
                       " + j, c)> rhs affine_map<(n, h, w, o, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (64, 3, 3)> : (tensor<?x" + side + "x" + side +
                       "x64xui8, #x>, tensor<64x64x3x3xi8>) -> tensor<?x28x28x64xi32, #y>\nreturn %c : tensor<?x28x28x64xi32, #y> }";
    auto lines = assemblyOf(text, "x86-64-v3");
    for (std::string &line : lines) // the check of loops counts multiply-adds by name
      if (size_t at = line.find("vpmaddwd"); at != std::string::npos)
        line.replace(at, 8, "vfmadd231ps");
    Loops loops = innerLoopsOf(lines);
    EXPECT_GE(loops.largest, 8) << stride;
    EXPECT_EQ(loops.spills, "") << stride;
  }
}

TEST(Spills, Convolutions) {
  // 3x3 with stride 2, channels last as between two layers.
  expectNoSpills(R"(#x = affine_map<()[s0] -> (s0, 57, 57, 64)>
    #y = affine_map<()[s0] -> (s0, 28, 28, 64)>
    func.func @f(%x: tensor<?x57x57x64xf32, #x>, %w: tensor<64x64x3x3xf32>) -> tensor<?x28x28x64xf32, #y>
        attributes {bigm.symbols = ["N"]} {
    %c = bigm.contract %x, %w lhs affine_map<(n, h, w, o, c, i, j) -> (n, h * 2 + i, w * 2 + j, c)>
        rhs affine_map<(n, h, w, o, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (64, 3, 3)>
        : (tensor<?x57x57x64xf32, #x>, tensor<64x64x3x3xf32>) -> tensor<?x28x28x64xf32, #y>
    return %c : tensor<?x28x28x64xf32, #y> })");
}

TEST(Spills, DepthwiseBlocksHoldAWindow) {
  // Of channels last: the steps along a line are one body, which loads once what its pixels share.
  for (auto [side, stride] : {std::pair(3, 1), {3, 2}, {5, 1}}) {
    SCOPED_TRACE(std::to_string(side) + " by steps of " + std::to_string(stride));
    std::string k = std::to_string(side), in = std::to_string(27 * stride + side), by = " * " + std::to_string(stride);
    std::string x = "tensor<?x" + in + "x" + in + "x64xf32, #x>", w = "tensor<64x" + k + "x" + k + "xf32>", y = "tensor<?x28x28x64xf32, #y>";
    std::string text = "#x = affine_map<()[s0] -> (s0, " + in + ", " + in + ", 64)>\n#y = affine_map<()[s0] -> (s0, 28, 28, 64)>\n" +
                       "func.func @f(%x: " + x + ", %w: " + w + ") -> " + y + " attributes {bigm.symbols = [\"N\"]} {\n" +
                       "%c = bigm.contract %x, %w lhs affine_map<(n, h, w, c, i, j) -> (n, h" + by + " + i, w" + by + " + j, c)>" +
                       "rhs affine_map<(n, h, w, c, i, j) -> (c, i, j)> reduced affine_map<()[s0] -> (" + k + ", " + k + ")> : (" + x +
                       ", " + w + ") -> " + y + "\nreturn %c : " + y + " }";
    expectNoSpills(text);
    EXPECT_GE(innerLoopsOf(assemblyOf(text, "x86-64-v3")).largest, 7 * side);
  }
}

TEST(Spills, Winograd) {
  // The products alone: a transform has more values at hand than there are registers.
  expectNoSpills(R"(#x = affine_map<()[s0] -> (s0, 30, 30, 64)>
    #y = affine_map<()[s0] -> (s0, 28, 28, 64)>
    func.func @f(%x: tensor<?x30x30x64xf32, #x>, %w: tensor<64x64x3x3xf32>) -> tensor<?x28x28x64xf32, #y>
        attributes {bigm.symbols = ["N"]} {
    %c = bigm.contract %x, %w lhs affine_map<(n, h, w, o, c, i, j) -> (n, h + i, w + j, c)>
        rhs affine_map<(n, h, w, o, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (64, 3, 3)>
        : (tensor<?x30x30x64xf32, #x>, tensor<64x64x3x3xf32>) -> tensor<?x28x28x64xf32, #y>
    return %c : tensor<?x28x28x64xf32, #y> })",
                 /*products=*/true);
}
