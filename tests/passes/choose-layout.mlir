// The order in memory of what only nests read.
// RUN: bigm-opt %s --to-kernels --fuse-kernels --choose-layout --split-input-file --mlir-print-local-scope | FileCheck %s

// Between two convolutions channels are innermost. Weights are packed in the order in which the other operand moves:
// [ci][kh][kw][co] for the caller's row-major picture, then [kh][kw][ci][co].
// CHECK-LABEL: func.func @convolutions
// CHECK: parallel 4 attributes {layouts = [array<i64: 1, 2, 3, 0>]}
// CHECK: contraction ["sum"] attributes {layouts = [array<i64: 0, 2, 3, 1>]}
// CHECK: parallel 4 attributes {layouts = [array<i64: 2, 3, 1, 0>]}
// CHECK: contraction ["sum"] {
func.func @convolutions(%x: tensor<?x8x9x9xf32, affine_map<()[s0] -> (s0, 8, 9, 9)>>, %v: tensor<16x8x3x3xf32>,
    %w: tensor<32x16x3x3xf32>) -> tensor<?x32x5x5xf32, affine_map<()[s0] -> (s0, 32, 5, 5)>>
    attributes {bigm.symbols = ["N"]} {
  %a = bigm.contract %x, %v lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h + i, w + j)>
       rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (8, 3, 3)>
       : (tensor<?x8x9x9xf32, affine_map<()[s0] -> (s0, 8, 9, 9)>>, tensor<16x8x3x3xf32>)
       -> tensor<?x16x7x7xf32, affine_map<()[s0] -> (s0, 16, 7, 7)>>
  %b = bigm.contract %a, %w lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h + i, w + j)>
       rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (16, 3, 3)>
       : (tensor<?x16x7x7xf32, affine_map<()[s0] -> (s0, 16, 7, 7)>>, tensor<32x16x3x3xf32>)
       -> tensor<?x32x5x5xf32, affine_map<()[s0] -> (s0, 32, 5, 5)>>
  return %b : tensor<?x32x5x5xf32, affine_map<()[s0] -> (s0, 32, 5, 5)>>
}

// -----
// A product of matrices whose right factor is contiguous already needs nothing.
// CHECK-LABEL: func.func @matrices
// CHECK-NOT: layouts
func.func @matrices(%x: tensor<5x7xf32>, %w: tensor<7x9xf32>) -> tensor<5x9xf32> {
  %c = bigm.contract %x, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (7)> : (tensor<5x7xf32>, tensor<7x9xf32>) -> tensor<5x9xf32>
  return %c : tensor<5x9xf32>
}

// -----
// A depthwise convolution uses no element twice but along pixels: it runs along its channels, and so do both operands.
// What is returned stays as the caller wants it.
// CHECK-LABEL: func.func @depthwise
// CHECK: parallel 4 attributes {layouts = [array<i64: 0, 2, 3, 1>]}
// CHECK: parallel 3 attributes {layouts = [array<i64: 1, 2, 0>]}
// CHECK: contraction ["sum"] {
func.func @depthwise(%x: tensor<?x40x9x9xf32, affine_map<()[s0] -> (s0, 40, 9, 9)>>, %w: tensor<40x3x3xf32>)
    -> tensor<?x40x7x7xf32, affine_map<()[s0] -> (s0, 40, 7, 7)>> attributes {bigm.symbols = ["N"]} {
  %y = bigm.exp %x : tensor<?x40x9x9xf32, affine_map<()[s0] -> (s0, 40, 9, 9)>>
  %a = bigm.contract %y, %w lhs affine_map<(n, c, h, w, i, j) -> (n, c, h + i, w + j)>
       rhs affine_map<(n, c, h, w, i, j) -> (c, i, j)> reduced affine_map<()[s0] -> (3, 3)>
       : (tensor<?x40x9x9xf32, affine_map<()[s0] -> (s0, 40, 9, 9)>>, tensor<40x3x3xf32>)
       -> tensor<?x40x7x7xf32, affine_map<()[s0] -> (s0, 40, 7, 7)>>
  %b = bigm.exp %a : tensor<?x40x7x7xf32, affine_map<()[s0] -> (s0, 40, 7, 7)>>
  %c = bigm.neg %b : tensor<?x40x7x7xf32, affine_map<()[s0] -> (s0, 40, 7, 7)>>
  return %c : tensor<?x40x7x7xf32, affine_map<()[s0] -> (s0, 40, 7, 7)>>
}

// -----
// The keys among queries, keys and values: only they are copied, head by head, for vectors along the positions.
// CHECK-LABEL: func.func @part
// CHECK: %[[K:.*]] = kernel.nest affine_map<() -> (40, 2, 4)> parallel 3 attributes {layouts = [array<i64: 1, 2, 0>]}
// CHECK: kernel.load %arg0 affine_map<(d0, d1, d2) -> (d0, d1 * 4 + d2 + 8)>
// CHECK: kernel.nest {{.*}} contraction
// CHECK: kernel.load %arg0 affine_map<(d0, d1, d2, d3) -> (d1, d0 * 4 + d3)>
// CHECK: kernel.load %[[K]] affine_map<(d0, d1, d2, d3) -> (d2, d0, d3)>
func.func @part(%qkv: tensor<40x24xf32>) -> tensor<2x40x40xf32> {
  %s = bigm.contract %qkv, %qkv lhs affine_map<(h, q, k, d) -> (q, h * 4 + d)> rhs affine_map<(h, q, k, d) -> (k, h * 4 + d + 8)>
      reduced affine_map<() -> (4)> : (tensor<40x24xf32>, tensor<40x24xf32>) -> tensor<2x40x40xf32>
  return %s : tensor<2x40x40xf32>
}

// -----
// In a masked mean no element is used twice either, but along the last dimension all of them lie as they are read: it runs along
// that one, and what is made for it stays row-major. (Along the batch of minilm the last layer took 0.34 ms to write, 0.006 so.)
// CHECK-LABEL: func.func @masked_mean
// CHECK: parallel 3 attributes {layouts = [array<i64: 0, 1, 2>]}
// CHECK: contraction ["sum"] {
func.func @masked_mean(%x: tensor<?x?x40xf32, affine_map<()[s0, s1] -> (s0, s1, 40)>>, %m: tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>)
    -> tensor<?x40xf32, affine_map<()[s0, s1] -> (s0, 40)>> attributes {bigm.symbols = ["N", "T"]} {
  %y = bigm.exp %x : tensor<?x?x40xf32, affine_map<()[s0, s1] -> (s0, s1, 40)>>
  %s = bigm.contract %y, %m lhs affine_map<(n, d, t) -> (n, t, d)> rhs affine_map<(n, d, t) -> (n, t)>
      reduced affine_map<()[s0, s1] -> (s1)>
      : (tensor<?x?x40xf32, affine_map<()[s0, s1] -> (s0, s1, 40)>>, tensor<?x?xf32, affine_map<()[s0, s1] -> (s0, s1)>>)
      -> tensor<?x40xf32, affine_map<()[s0, s1] -> (s0, 40)>>
  return %s : tensor<?x40xf32, affine_map<()[s0, s1] -> (s0, 40)>>
}

// -----
// Weights with a scale in them are made in the order in which the picture moves, not only with their vectors side by side.
// CHECK-LABEL: func.func @scaled
// CHECK: contraction ["sum"] attributes {layouts = [array<i64: 0, 2, 3, 1>]}
// CHECK: kernel.nest affine_map<()[s0] -> (32, 16, 3, 3)> parallel 4 attributes {layouts = [array<i64: 2, 3, 1, 0>]}
func.func @scaled(%x: tensor<?x8x9x9xf32, affine_map<()[s0] -> (s0, 8, 9, 9)>>, %v: tensor<16x8x3x3xf32>,
    %w: tensor<32x16x3x3xf32>, %s: tensor<32xf32>) -> tensor<?x32x5x5xf32, affine_map<()[s0] -> (s0, 32, 5, 5)>>
    attributes {bigm.symbols = ["N"]} {
  %a = bigm.contract %x, %v lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h + i, w + j)>
       rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (8, 3, 3)>
       : (tensor<?x8x9x9xf32, affine_map<()[s0] -> (s0, 8, 9, 9)>>, tensor<16x8x3x3xf32>)
       -> tensor<?x16x7x7xf32, affine_map<()[s0] -> (s0, 16, 7, 7)>>
  %t = bigm.view %s, affine_map<(o, c, i, j) -> (o)> : tensor<32xf32> -> tensor<32x16x3x3xf32>
  %p = bigm.mul %w, %t : tensor<32x16x3x3xf32>
  %b = bigm.contract %a, %p lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h + i, w + j)>
       rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (16, 3, 3)>
       : (tensor<?x16x7x7xf32, affine_map<()[s0] -> (s0, 16, 7, 7)>>, tensor<32x16x3x3xf32>)
       -> tensor<?x32x5x5xf32, affine_map<()[s0] -> (s0, 32, 5, 5)>>
  return %b : tensor<?x32x5x5xf32, affine_map<()[s0] -> (s0, 32, 5, 5)>>
}

// -----
// Of a picture whose channels go by groups, those of one group lie side by side, and a group's picture as one.
// CHECK-LABEL: func.func @groups
// CHECK: parallel 5 attributes {layouts = [array<i64: 0, 1, 3, 4, 2>]}
// CHECK: contraction ["sum"]
func.func @groups(%x: tensor<2x4x16x12x11xf32>, %w: tensor<4x16x16x3x3xf32>) -> tensor<2x4x16x12x11xf32> {
  %z = bigm.constant 0.0 : f32 -> tensor<f32>
  %p = bigm.pad %x, %z low [0, 0, 0, 1, 1] high [0, 0, 0, 1, 1] interior [0, 0, 0, 0, 0]
      : (tensor<2x4x16x12x11xf32>, tensor<f32>) -> tensor<2x4x16x14x13xf32>
  %a = bigm.contract %p, %w lhs affine_map<(n, g, o, h, w, c, i, j) -> (n, g, c, h + i, w + j)>
       rhs affine_map<(n, g, o, h, w, c, i, j) -> (g, o, c, i, j)> reduced affine_map<() -> (16, 3, 3)>
       : (tensor<2x4x16x14x13xf32>, tensor<4x16x16x3x3xf32>) -> tensor<2x4x16x12x11xf32>
  return %a : tensor<2x4x16x12x11xf32>
}
