// A scale that does not vary along the sum of a contraction is applied to its result.
// RUN: bigm-opt %s --sink-scales --canonicalize --mlir-print-local-scope | FileCheck %s

// CHECK-LABEL: func.func @rows
// CHECK: %[[C:.*]] = bigm.contract %arg0, %arg1
// CHECK: %[[S:.*]] = bigm.view %arg2, affine_map<(d0, d1) -> (d0)> : tensor<3xf32> -> tensor<3x4xf32>
// CHECK: %[[R:.*]] = bigm.mul %[[C]], %[[S]]
// CHECK: return %[[R]]
func.func @rows(%x: tensor<3x5xf32>, %w: tensor<4x5xf32>, %s: tensor<3xf32>) -> tensor<3x4xf32> {
  %v = bigm.view %s, affine_map<(n, k) -> (n)> : tensor<3xf32> -> tensor<3x5xf32>
  %p = bigm.mul %x, %v : tensor<3x5xf32>
  %c = bigm.contract %p, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<() -> (5)> : (tensor<3x5xf32>, tensor<4x5xf32>) -> tensor<3x4xf32>
  return %c : tensor<3x4xf32>
}
// Not when it varies along the sum, nor when the product is read by somebody else.
// CHECK-LABEL: func.func @summed
// CHECK: %[[P:.*]] = bigm.mul %arg0
// CHECK: %[[C:.*]] = bigm.contract %[[P]], %arg1
// CHECK: return %[[C]]
func.func @summed(%x: tensor<3x5xf32>, %w: tensor<4x5xf32>, %s: tensor<5xf32>) -> tensor<3x4xf32> {
  %v = bigm.view %s, affine_map<(n, k) -> (k)> : tensor<5xf32> -> tensor<3x5xf32>
  %p = bigm.mul %x, %v : tensor<3x5xf32>
  %c = bigm.contract %p, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<() -> (5)> : (tensor<3x5xf32>, tensor<4x5xf32>) -> tensor<3x4xf32>
  return %c : tensor<3x4xf32>
}
// CHECK-LABEL: func.func @kept
// CHECK: %[[P:.*]] = bigm.mul %arg0
// CHECK: %[[C:.*]] = bigm.contract %[[P]], %arg1
// CHECK: return %[[P]], %[[C]]
func.func @kept(%x: tensor<3x5xf32>, %w: tensor<4x5xf32>, %s: tensor<3xf32>) -> (tensor<3x5xf32>, tensor<3x4xf32>) {
  %v = bigm.view %s, affine_map<(n, k) -> (n)> : tensor<3xf32> -> tensor<3x5xf32>
  %p = bigm.mul %x, %v : tensor<3x5xf32>
  %c = bigm.contract %p, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<() -> (5)> : (tensor<3x5xf32>, tensor<4x5xf32>) -> tensor<3x4xf32>
  return %p, %c : tensor<3x5xf32>, tensor<3x4xf32>
}
