// Contractions that read zeros between elements skip them.
// RUN: bigm-opt %s --split-phases --canonicalize --mlir-print-local-scope | FileCheck %s

// A transposed convolution with steps of 2 and an even low end: the phase moves the picture, and the result lies in its place.
// CHECK-LABEL: func.func @even
// CHECK: %[[P:.*]] = bigm.pad %arg0, %{{.*}} low [0, 0, 1] high [0, 0, 1] interior [0, 0, 0] {{.*}} -> tensor<2x8x7xf32>
// CHECK: %[[C:.*]] = bigm.contract %[[P]], %arg1 lhs affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d4, d2 + d5 + d3)> rhs affine_map<(d0, d1, d2, d3, d4, d5) -> (d4, d1, d5 * 2 + d3)> reduced affine_map<() -> (8, 2)> {{.*}} -> tensor<2x16x5x2xf32>
// CHECK: bigm.reshape %[[C]] : tensor<2x16x5x2xf32> -> tensor<2x16x10xf32>
func.func @even(%x: tensor<2x8x5xf32>, %w: tensor<8x16x4xf32>) -> tensor<2x16x10xf32> {
  %z = bigm.constant 0.0 : f32 -> tensor<f32>
  %p = bigm.pad %x, %z low [0, 0, 2] high [0, 0, 2] interior [0, 0, 1] : (tensor<2x8x5xf32>, tensor<f32>) -> tensor<2x8x13xf32>
  %c = bigm.contract %p, %w lhs affine_map<(n, o, t, c, k) -> (n, c, t + k)> rhs affine_map<(n, o, t, c, k) -> (c, o, k)>
       reduced affine_map<() -> (8, 4)> : (tensor<2x8x13xf32>, tensor<8x16x4xf32>) -> tensor<2x16x10xf32>
  return %c : tensor<2x16x10xf32>
}
// Steps of 3 through a window of 4: zeros stand around the weights, and a part of the result around what is asked for.
// CHECK-LABEL: func.func @around
// CHECK: %[[W:.*]] = bigm.pad %arg1, %{{.*}} low [0, 0, 0] high [0, 0, 2]
// CHECK: %[[C:.*]] = bigm.contract {{.*}}, %[[W]] {{.*}} reduced affine_map<() -> (8, 2)> {{.*}} -> tensor<2x16x5x3xf32>
// CHECK: %[[R:.*]] = bigm.reshape %[[C]] : tensor<2x16x5x3xf32> -> tensor<2x16x15xf32>
// CHECK: bigm.view %[[R]], affine_map<(d0, d1, d2) -> (d0, d1, d2 + 1)> : tensor<2x16x15xf32> -> tensor<2x16x13xf32>
func.func @around(%x: tensor<2x8x5xf32>, %w: tensor<8x16x4xf32>) -> tensor<2x16x13xf32> {
  %z = bigm.constant 0.0 : f32 -> tensor<f32>
  %p = bigm.pad %x, %z low [0, 0, 1] high [0, 0, 2] interior [0, 0, 2] : (tensor<2x8x5xf32>, tensor<f32>) -> tensor<2x8x16xf32>
  %c = bigm.contract %p, %w lhs affine_map<(n, o, t, c, k) -> (n, c, t + k)> rhs affine_map<(n, o, t, c, k) -> (c, o, k)>
       reduced affine_map<() -> (8, 4)> : (tensor<2x8x16xf32>, tensor<8x16x4xf32>) -> tensor<2x16x13xf32>
  return %c : tensor<2x16x13xf32>
}
// Windows of 3 x 3 with steps of 2 stay: Winograd's filtering takes fewer products.
// CHECK-LABEL: func.func @filtered
// CHECK: bigm.pad {{.*}} interior [0, 0, 1, 1]
func.func @filtered(%x: tensor<2x8x5x5xf32>, %w: tensor<8x16x3x3xf32>) -> tensor<2x16x9x9xf32> {
  %z = bigm.constant 0.0 : f32 -> tensor<f32>
  %p = bigm.pad %x, %z low [0, 0, 1, 1] high [0, 0, 1, 1] interior [0, 0, 1, 1] : (tensor<2x8x5x5xf32>, tensor<f32>) -> tensor<2x8x11x11xf32>
  %c = bigm.contract %p, %w lhs affine_map<(n, o, h, w, c, i, j) -> (n, c, h + i, w + j)> rhs affine_map<(n, o, h, w, c, i, j) -> (c, o, i, j)>
       reduced affine_map<() -> (8, 3, 3)> : (tensor<2x8x11x11xf32>, tensor<8x16x3x3xf32>) -> tensor<2x16x9x9xf32>
  return %c : tensor<2x16x9x9xf32>
}
