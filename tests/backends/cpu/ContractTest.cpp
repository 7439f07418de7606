// Contractions: products of matrices, convolutions and their gradients, on sizes that fill no block.
#include "Harness.h"
#include <gtest/gtest.h>

using bigm::test::expectSame;

TEST(Contract, Matrices) {
  for (int64_t n : {1, 5, 14, 33}) {
    SCOPED_TRACE(n);
    // x[n, i] w[i, o], x[n, i] w[o, i] (as Linear keeps its weights), and the gradient to the weights.
    expectSame(R"(#x = affine_map<()[s0] -> (s0, 39)>
    #y = affine_map<()[s0] -> (s0, 77)>
    func.func @f(%x: tensor<?x39xf32, #x>, %w: tensor<39x77xf32>, %v: tensor<77x39xf32>, %g: tensor<?x77xf32, #y>)
        -> (tensor<?x77xf32, #y>, tensor<?x77xf32, #y>, tensor<77x39xf32>) attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %x, %w lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (i, o)>
        reduced affine_map<()[s0] -> (39)> : (tensor<?x39xf32, #x>, tensor<39x77xf32>) -> tensor<?x77xf32, #y>
    %b = bigm.contract %x, %v lhs affine_map<(n, o, i) -> (n, i)> rhs affine_map<(n, o, i) -> (o, i)>
        reduced affine_map<()[s0] -> (39)> : (tensor<?x39xf32, #x>, tensor<77x39xf32>) -> tensor<?x77xf32, #y>
    %c = bigm.contract %g, %x lhs affine_map<(o, i, n) -> (n, o)> rhs affine_map<(o, i, n) -> (n, i)>
        reduced affine_map<()[s0] -> (s0)> : (tensor<?x77xf32, #y>, tensor<?x39xf32, #x>) -> tensor<77x39xf32>
    return %a, %b, %c : tensor<?x77xf32, #y>, tensor<?x77xf32, #y>, tensor<77x39xf32> })",
               {n});
  }
}

TEST(Contract, Batched) {
  expectSame(R"(#q = affine_map<()[s0, s1] -> (s0, 3, s1, 10)>
    #s = affine_map<()[s0, s1] -> (s0, 3, s1, s1)>
    func.func @f(%q: tensor<?x3x?x10xf32, #q>, %k: tensor<?x3x?x10xf32, #q>) -> (tensor<?x3x?x?xf32, #s>, tensor<?x3x?x10xf32, #q>)
        attributes {bigm.symbols = ["N", "T"]} {
    %s = bigm.contract %q, %k lhs affine_map<(n, h, t, u, d) -> (n, h, t, d)> rhs affine_map<(n, h, t, u, d) -> (n, h, u, d)>
        reduced affine_map<()[s0, s1] -> (10)> : (tensor<?x3x?x10xf32, #q>, tensor<?x3x?x10xf32, #q>) -> tensor<?x3x?x?xf32, #s>
    %o = bigm.contract %s, %k lhs affine_map<(n, h, t, d, u) -> (n, h, t, u)> rhs affine_map<(n, h, t, d, u) -> (n, h, u, d)>
        reduced affine_map<()[s0, s1] -> (s1)> : (tensor<?x3x?x?xf32, #s>, tensor<?x3x?x10xf32, #q>) -> tensor<?x3x?x10xf32, #q>
    return %s, %o : tensor<?x3x?x?xf32, #s>, tensor<?x3x?x10xf32, #q> })",
             {2, 19});
}

TEST(Contract, Convolution) {
  // Forward with stride 2; gradient to the weights of one with stride 1.
  expectSame(R"(#x = affine_map<()[s0] -> (s0, 5, 11, 13)>
    #y = affine_map<()[s0] -> (s0, 18, 5, 6)>
    #z = affine_map<()[s0] -> (s0, 18, 9, 11)>
    func.func @f(%x: tensor<?x5x11x13xf32, #x>, %w: tensor<18x5x3x3xf32>, %g: tensor<?x18x9x11xf32, #z>)
        -> (tensor<?x18x5x6xf32, #y>, tensor<18x5x3x3xf32>) attributes {bigm.symbols = ["N"]} {
    %a = bigm.contract %x, %w lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h * 2 + i, w * 2 + j)>
        rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (5, 3, 3)>
        : (tensor<?x5x11x13xf32, #x>, tensor<18x5x3x3xf32>) -> tensor<?x18x5x6xf32, #y>
    %b = bigm.contract %g, %x lhs affine_map<(o, c, i, j, n, h, w) -> (n, o, h, w)>
        rhs affine_map<(o, c, i, j, n, h, w) -> (n, c, h + i, w + j)> reduced affine_map<()[s0] -> (s0, 9, 11)>
        : (tensor<?x18x9x11xf32, #z>, tensor<?x5x11x13xf32, #x>) -> tensor<18x5x3x3xf32>
    return %a, %b : tensor<?x18x5x6xf32, #y>, tensor<18x5x3x3xf32> })",
             {3});
}

TEST(Contract, DepthwiseAndIntegers) {
  expectSame(R"(func.func @f(%x: tensor<2x9x8x8xf32>, %w: tensor<9x3x3xf32>, %i: tensor<5x6xi32>, %j: tensor<6x7xi32>)
        -> (tensor<2x9x6x6xf32>, tensor<5x7xi32>) {
    %a = bigm.contract %x, %w lhs affine_map<(n, c, h, w, i, j) -> (n, c, h + i, w + j)>
        rhs affine_map<(n, c, h, w, i, j) -> (c, i, j)> reduced affine_map<() -> (3, 3)>
        : (tensor<2x9x8x8xf32>, tensor<9x3x3xf32>) -> tensor<2x9x6x6xf32>
    %b = bigm.contract %i, %j lhs affine_map<(m, n, k) -> (m, k)> rhs affine_map<(m, n, k) -> (k, n)>
        reduced affine_map<() -> (6)> : (tensor<5x6xi32>, tensor<6x7xi32>) -> tensor<5x7xi32>
    return %a, %b : tensor<2x9x6x6xf32>, tensor<5x7xi32> })");
}
