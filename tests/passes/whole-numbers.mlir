// Products of numbers that were kept in eight bits are done in whole numbers.
// RUN: bigm-opt %s --whole-numbers --canonicalize --mlir-print-local-scope | FileCheck %s

// The zero of the activations is put around, and its part of the sum taken away; both scales come behind.
// CHECK-LABEL: func.func @convolution
// CHECK: %[[Z:.*]] = bigm.constant 3 : ui8 -> tensor<ui8>
// CHECK: %[[P:.*]] = bigm.pad %arg0, %[[Z]] low [0, 0, 1, 1] high [0, 0, 1, 1]
// CHECK: %[[A:.*]] = bigm.contract %[[P]], %arg1 {{.*}}(tensor<2x8x8x8xui8>, tensor<16x8x3x3xi8>) -> tensor<2x16x6x6xi32>
// CHECK: %[[W:.*]] = bigm.cast %arg1 : tensor<16x8x3x3xi8> -> tensor<16x8x3x3xi32>
// CHECK: bigm.reduce_sum %[[W]], [1, 2, 3]
// CHECK: bigm.sub %[[A]]
// CHECK: %[[F:.*]] = bigm.cast {{.*}} -> tensor<2x16x6x6xf32>
// CHECK: %[[S:.*]] = bigm.constant 2.500000e-01 : f32 -> tensor<2x16x6x6xf32>
// CHECK: bigm.mul %[[F]], %[[S]]
func.func @convolution(%q: tensor<2x8x6x6xui8>, %w: tensor<16x8x3x3xi8> {bigm.tensor = 0 : i64}) -> tensor<2x16x6x6xf32> {
  %f = bigm.cast %q : tensor<2x8x6x6xui8> -> tensor<2x8x6x6xf32>
  %z = bigm.constant 3.0 : f32 -> tensor<2x8x6x6xf32>
  %d = bigm.sub %f, %z : tensor<2x8x6x6xf32>
  %s = bigm.constant 0.25 : f32 -> tensor<2x8x6x6xf32>
  %x = bigm.mul %d, %s : tensor<2x8x6x6xf32>
  %0 = bigm.constant 0.0 : f32 -> tensor<f32>
  %p = bigm.pad %x, %0 low [0, 0, 1, 1] high [0, 0, 1, 1] interior [0, 0, 0, 0] : (tensor<2x8x6x6xf32>, tensor<f32>) -> tensor<2x8x8x8xf32>
  %v = bigm.cast %w : tensor<16x8x3x3xi8> -> tensor<16x8x3x3xf32>
  %c = bigm.contract %p, %v lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h + i, w + j)>
       rhs affine_map<(n, o, h, w, c, i, j) -> (o, c, i, j)> reduced affine_map<() -> (8, 3, 3)>
       : (tensor<2x8x8x8xf32>, tensor<16x8x3x3xf32>) -> tensor<2x16x6x6xf32>
  return %c : tensor<2x16x6x6xf32>
}
// As ONNX's integer operators say it; unsigned weights around 128 become signed ones.
// CHECK-LABEL: func.func @integers
// CHECK: %[[V:.*]] = bigm.cast {{.*}} -> tensor<20x12xi8>
// CHECK: bigm.contract %arg0, %[[V]] {{.*}}(tensor<4x20xui8>, tensor<20x12xi8>) -> tensor<4x12xi32>
func.func @integers(%q: tensor<4x20xui8>, %w: tensor<20x12xui8> {bigm.tensor = 0 : i64}) -> tensor<4x12xi32> {
  %x = bigm.cast %q : tensor<4x20xui8> -> tensor<4x20xi32>
  %v = bigm.cast %w : tensor<20x12xui8> -> tensor<20x12xi32>
  %z = bigm.constant 128 : i32 -> tensor<20x12xi32>
  %u = bigm.sub %v, %z : tensor<20x12xi32>
  %c = bigm.contract %x, %u lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (k, o)> reduced affine_map<() -> (20)>
       : (tensor<4x20xi32>, tensor<20x12xi32>) -> tensor<4x12xi32>
  return %c : tensor<4x12xi32>
}
// Not a convolution of each channel by itself, not a zero that eight bits do not have, not sums that i32 may not hold.
// CHECK-LABEL: func.func @depthwise
// CHECK: bigm.contract {{.*}} -> tensor<2x32x6x6xf32>
func.func @depthwise(%q: tensor<2x32x8x8xui8>, %w: tensor<32x3x3xi8> {bigm.tensor = 0 : i64}) -> tensor<2x32x6x6xf32> {
  %x = bigm.cast %q : tensor<2x32x8x8xui8> -> tensor<2x32x8x8xf32>
  %v = bigm.cast %w : tensor<32x3x3xi8> -> tensor<32x3x3xf32>
  %c = bigm.contract %x, %v lhs affine_map<(n, c, h, w, i, j) -> (n, c, h + i, w + j)>
       rhs affine_map<(n, c, h, w, i, j) -> (c, i, j)> reduced affine_map<() -> (3, 3)>
       : (tensor<2x32x8x8xf32>, tensor<32x3x3xf32>) -> tensor<2x32x6x6xf32>
  return %c : tensor<2x32x6x6xf32>
}
// CHECK-LABEL: func.func @zero
// CHECK: bigm.contract {{.*}} -> tensor<4x12xf32>
func.func @zero(%q: tensor<4x20xui8>, %w: tensor<20x12xi8> {bigm.tensor = 0 : i64}) -> tensor<4x12xf32> {
  %f = bigm.cast %q : tensor<4x20xui8> -> tensor<4x20xf32>
  %z = bigm.constant 0.5 : f32 -> tensor<4x20xf32>
  %x = bigm.sub %f, %z : tensor<4x20xf32>
  %v = bigm.cast %w : tensor<20x12xi8> -> tensor<20x12xf32>
  %c = bigm.contract %x, %v lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (k, o)> reduced affine_map<() -> (20)>
       : (tensor<4x20xf32>, tensor<20x12xf32>) -> tensor<4x12xf32>
  return %c : tensor<4x12xf32>
}
// CHECK-LABEL: func.func @long
// CHECK: bigm.contract {{.*}} -> tensor<4x12xf32>
func.func @long(%q: tensor<4x40000xui8>, %w: tensor<40000x12xi8> {bigm.tensor = 0 : i64}) -> tensor<4x12xf32> {
  %x = bigm.cast %q : tensor<4x40000xui8> -> tensor<4x40000xf32>
  %v = bigm.cast %w : tensor<40000x12xi8> -> tensor<40000x12xf32>
  %c = bigm.contract %x, %v lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (k, o)> reduced affine_map<() -> (40000)>
       : (tensor<4x40000xf32>, tensor<40000x12xf32>) -> tensor<4x12xf32>
  return %c : tensor<4x12xf32>
}
// A zero that the call finds; not with padding, which would have to put it around.
// CHECK-LABEL: func.func @found
// CHECK: %[[A:.*]] = bigm.contract %arg0, %arg1 {{.*}}-> tensor<4x12xi32>
// CHECK: %[[N:.*]] = bigm.cast %arg2 : tensor<ui8> -> tensor<i32>
// CHECK: %[[Z:.*]] = bigm.view %[[N]], affine_map<(d0, d1) -> ()> : tensor<i32> -> tensor<4x12xi32>
// CHECK: %[[M:.*]] = bigm.mul {{.*}}, %[[Z]]
// CHECK: bigm.sub %[[A]], %[[M]]
func.func @found(%q: tensor<4x20xui8>, %w: tensor<20x12xi8> {bigm.tensor = 0 : i64}, %n: tensor<ui8>) -> tensor<4x12xi32> {
  %x = bigm.cast %q : tensor<4x20xui8> -> tensor<4x20xi32>
  %i = bigm.cast %n : tensor<ui8> -> tensor<i32>
  %z = bigm.view %i, affine_map<(i, k) -> ()> : tensor<i32> -> tensor<4x20xi32>
  %d = bigm.sub %x, %z : tensor<4x20xi32>
  %v = bigm.cast %w : tensor<20x12xi8> -> tensor<20x12xi32>
  %c = bigm.contract %d, %v lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (k, o)> reduced affine_map<() -> (20)>
       : (tensor<4x20xi32>, tensor<20x12xi32>) -> tensor<4x12xi32>
  return %c : tensor<4x12xi32>
}
