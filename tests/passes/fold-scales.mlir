// In inference a scale of channels goes into the weights.
// RUN: bigm-opt %s --fold-scales --canonicalize --split-input-file --mlir-print-local-scope | FileCheck %s
// sink-scales leaves them there.
// RUN: bigm-opt %s --fold-scales --sink-scales --canonicalize --split-input-file --mlir-print-local-scope | FileCheck %s

#x = affine_map<()[s0] -> (s0, 2, 9, 9)>
#y = affine_map<()[s0] -> (s0, 4, 7, 7)>
#g = affine_map<()[s0] -> (s0, 2, 2, 7, 7)>

// (conv + b) * s: the weights and the shift are scaled, the picture is only convolved and shifted.
// CHECK-LABEL: func.func @biased
// CHECK: bigm.mul %arg2, %arg3 : tensor<4xf32>
// CHECK: %[[S:.*]] = bigm.view %arg3, affine_map<(d0, d1, d2, d3) -> (d0)>
// CHECK: %[[W:.*]] = bigm.mul %arg1, %[[S]]{{.*}} : tensor<4x2x3x3xf32>
// CHECK: bigm.contract %arg0, %[[W]]
// CHECK-NOT: bigm.mul
func.func @biased(%x: tensor<?x2x9x9xf32, #x>, %w: tensor<4x2x3x3xf32> {bigm.tensor = 0 : i64},
    %b: tensor<4xf32> {bigm.tensor = 1 : i64}, %s: tensor<4xf32> {bigm.tensor = 2 : i64}) -> tensor<?x4x7x7xf32, #y>
    attributes {bigm.symbols = ["N"]} {
  %c = bigm.contract %x, %w lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h + i, w + j)>
       rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<()[s0] -> (2, 3, 3)>
       : (tensor<?x2x9x9xf32, #x>, tensor<4x2x3x3xf32>) -> tensor<?x4x7x7xf32, #y>
  %bs = bigm.view %b, affine_map<(n, o, h, w) -> (o)> : tensor<4xf32> -> tensor<?x4x7x7xf32, #y>
  %y = bigm.add %c, %bs : tensor<?x4x7x7xf32, #y>
  %ss = bigm.view %s, affine_map<(n, o, h, w) -> (o)> : tensor<4xf32> -> tensor<?x4x7x7xf32, #y>
  %r = bigm.mul %y, %ss : tensor<?x4x7x7xf32, #y>
  return %r : tensor<?x4x7x7xf32, #y>
}

// -----
#x = affine_map<()[s0] -> (s0, 2, 9, 9)>
#y = affine_map<()[s0] -> (s0, 4, 7, 7)>
#g = affine_map<()[s0] -> (s0, 2, 2, 7, 7)>
// Through the reshape that joins groups and their channels (a depthwise convolution): the scale is taken apart.
// CHECK-LABEL: func.func @groups
// CHECK: %[[S:.*]] = bigm.reshape %arg2 : tensor<4xf32> -> tensor<2x2xf32>
// CHECK: %[[V:.*]] = bigm.view %[[S]], affine_map<(d0, d1, d2, d3) -> (d0, d1)>
// CHECK: %[[W:.*]] = bigm.mul %arg1, %[[V]]
// CHECK: bigm.contract %arg0, %[[W]]
// CHECK-NOT: bigm.mul
func.func @groups(%x: tensor<?x2x9x9xf32, #x>, %w: tensor<2x2x3x3xf32> {bigm.tensor = 0 : i64},
    %s: tensor<4xf32> {bigm.tensor = 1 : i64}) -> tensor<?x4x7x7xf32, #y> attributes {bigm.symbols = ["N"]} {
  %c = bigm.contract %x, %w lhs affine_map<(n, g, o, h, w, i, j) -> (n, g, h + i, w + j)>
       rhs affine_map<(n, g, o, h, w, i, j) -> (g, o, i, j)> reduced affine_map<()[s0] -> (3, 3)>
       : (tensor<?x2x9x9xf32, #x>, tensor<2x2x3x3xf32>) -> tensor<?x2x2x7x7xf32, #g>
  %y = bigm.reshape %c : tensor<?x2x2x7x7xf32, #g> -> tensor<?x4x7x7xf32, #y>
  %ss = bigm.view %s, affine_map<(n, o, h, w) -> (o)> : tensor<4xf32> -> tensor<?x4x7x7xf32, #y>
  %r = bigm.mul %y, %ss : tensor<?x4x7x7xf32, #y>
  return %r : tensor<?x4x7x7xf32, #y>
}

// -----
// Not when the scale varies along what is no dimension of the weights, when it is an input, or when the unscaled result
// is read too.
// CHECK-LABEL: func.func @rows
// CHECK: %[[C:.*]] = bigm.contract %arg0, %arg1
// CHECK: bigm.mul %[[C]]
func.func @rows(%x: tensor<3x5xf32>, %w: tensor<4x5xf32> {bigm.tensor = 0 : i64},
    %s: tensor<3xf32> {bigm.tensor = 1 : i64}) -> tensor<3x4xf32> {
  %c = bigm.contract %x, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<() -> (5)> : (tensor<3x5xf32>, tensor<4x5xf32>) -> tensor<3x4xf32>
  %ss = bigm.view %s, affine_map<(n, o) -> (n)> : tensor<3xf32> -> tensor<3x4xf32>
  %r = bigm.mul %c, %ss : tensor<3x4xf32>
  return %r : tensor<3x4xf32>
}
// CHECK-LABEL: func.func @input
// CHECK: %[[C:.*]] = bigm.contract %arg0, %arg1
// CHECK: bigm.mul %[[C]]
func.func @input(%x: tensor<3x5xf32>, %w: tensor<4x5xf32> {bigm.tensor = 0 : i64}, %s: tensor<4xf32>) -> tensor<3x4xf32> {
  %c = bigm.contract %x, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<() -> (5)> : (tensor<3x5xf32>, tensor<4x5xf32>) -> tensor<3x4xf32>
  %ss = bigm.view %s, affine_map<(n, o) -> (o)> : tensor<4xf32> -> tensor<3x4xf32>
  %r = bigm.mul %c, %ss : tensor<3x4xf32>
  return %r : tensor<3x4xf32>
}
// CHECK-LABEL: func.func @both
// CHECK: %[[C:.*]] = bigm.contract %arg0, %arg1
// CHECK: bigm.mul %[[C]]
func.func @both(%x: tensor<3x5xf32>, %w: tensor<4x5xf32> {bigm.tensor = 0 : i64},
    %s: tensor<4xf32> {bigm.tensor = 1 : i64}) -> (tensor<3x4xf32>, tensor<3x4xf32>) {
  %c = bigm.contract %x, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<() -> (5)> : (tensor<3x5xf32>, tensor<4x5xf32>) -> tensor<3x4xf32>
  %ss = bigm.view %s, affine_map<(n, o) -> (o)> : tensor<4xf32> -> tensor<3x4xf32>
  %r = bigm.mul %c, %ss : tensor<3x4xf32>
  return %c, %r : tensor<3x4xf32>, tensor<3x4xf32>
}

// -----
// A train step folds nothing: its weights change.
// CHECK-LABEL: func.func @predict
// CHECK-LABEL: func.func @step
// CHECK: %[[C:.*]] = bigm.contract %arg0, %arg1
// CHECK: bigm.mul %[[C]]
func.func @predict(%w: tensor<4x5xf32> {bigm.tensor = 0 : i64}) -> tensor<4x5xf32> {
  %r = bigm.neg %w : tensor<4x5xf32>
  return %r : tensor<4x5xf32>
}
func.func @step(%x: tensor<3x5xf32>, %w: tensor<4x5xf32> {bigm.tensor = 0 : i64},
    %s: tensor<4xf32> {bigm.tensor = 1 : i64}) -> (tensor<3x4xf32>, tensor<4x5xf32> {bigm.updates = 0 : i64}) {
  %c = bigm.contract %x, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<() -> (5)> : (tensor<3x5xf32>, tensor<4x5xf32>) -> tensor<3x4xf32>
  %ss = bigm.view %s, affine_map<(n, o) -> (o)> : tensor<4xf32> -> tensor<3x4xf32>
  %r = bigm.mul %c, %ss : tensor<3x4xf32>
  %n = bigm.neg %w : tensor<4x5xf32>
  return %r, %n : tensor<3x4xf32>, tensor<4x5xf32>
}

// -----
#x = affine_map<()[s0] -> (s0, 5)>
#y = affine_map<()[s0] -> (s0, 4)>
// Weights that are kept in few bits stay narrow: their scales go behind the sum, all of them.
// RUN: bigm-opt %s --fold-scales --sink-scales --canonicalize --split-input-file --mlir-print-local-scope | FileCheck %s --check-prefix=NARROW
// NARROW-LABEL: func.func @narrow
// NARROW: %[[W:.*]] = bigm.cast %arg1
// NARROW: bigm.contract %arg0, %[[W]]
// NARROW-COUNT-2: bigm.mul {{.*}} : tensor<?x4xf32
func.func @narrow(%x: tensor<?x5xf32, #x>, %w: tensor<4x5xi8> {bigm.tensor = 0 : i64}, %q: tensor<4xf32> {bigm.tensor = 1 : i64},
    %s: tensor<4xf32> {bigm.tensor = 2 : i64}) -> tensor<?x4xf32, #y> attributes {bigm.symbols = ["N"]} {
  %f = bigm.cast %w : tensor<4x5xi8> -> tensor<4x5xf32>
  %v = bigm.view %q, affine_map<(o, k) -> (o)> : tensor<4xf32> -> tensor<4x5xf32>
  %p = bigm.mul %f, %v : tensor<4x5xf32>
  %c = bigm.contract %x, %p lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<()[s0] -> (5)> : (tensor<?x5xf32, #x>, tensor<4x5xf32>) -> tensor<?x4xf32, #y>
  %ss = bigm.view %s, affine_map<(n, o) -> (o)> : tensor<4xf32> -> tensor<?x4xf32, #y>
  %r = bigm.mul %c, %ss : tensor<?x4xf32, #y>
  return %r : tensor<?x4xf32, #y>
}
