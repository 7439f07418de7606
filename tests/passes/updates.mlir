// New values of weights and states: made where the gradient is, in place.
// RUN: bigm-opt %s --to-kernels --fuse-kernels --plan-memory --split-input-file --mlir-print-local-scope | FileCheck %s

// The gradient is the sum of a contraction whose epilogue moves the momentum and the weight; neither gradient nor new values
// lie anywhere else. The rate, computed at the end, is there before.
// CHECK-LABEL: func.func @gradient_and_update
// CHECK: kernel.nest affine_map<() -> ()> parallel 0
// CHECK: %{{.*}}:2 = kernel.nest affine_map<() -> (5, 7, 11)> parallel 2 contraction
// CHECK-SAME: places = [1, 0]
// CHECK-NOT: kernel.nest
func.func @gradient_and_update(%w: tensor<5x7xf32> {bigm.tensor = 0 : i64}, %m: tensor<5x7xf32> {bigm.tensor = 1 : i64},
                               %x: tensor<11x7xf32>, %g: tensor<11x5xf32>, %rate: tensor<f32>)
    -> (tensor<5x7xf32> {bigm.updates = 0 : i64}, tensor<5x7xf32> {bigm.updates = 1 : i64}) {
  %dw = bigm.contract %g, %x lhs affine_map<(o, i, n) -> (n, o)> rhs affine_map<(o, i, n) -> (n, i)>
      reduced affine_map<() -> (11)> : (tensor<11x5xf32>, tensor<11x7xf32>) -> tensor<5x7xf32>
  %moved = bigm.add %m, %dw : tensor<5x7xf32>
  %r = bigm.tanh %rate : tensor<f32>
  %all = bigm.view %r, affine_map<(i, j) -> ()> : tensor<f32> -> tensor<5x7xf32>
  %step = bigm.mul %all, %moved : tensor<5x7xf32>
  %new = bigm.sub %w, %step : tensor<5x7xf32>
  return %new, %moved : tensor<5x7xf32>, tensor<5x7xf32>
}

// -----
// The gradient to the input reads the old weight: the update goes behind it.
// CHECK-LABEL: func.func @old_weight_is_read
// CHECK: kernel.nest affine_map<() -> (11, 7, 5)> parallel 2 contraction
// CHECK: kernel.nest affine_map<() -> (5, 7, 11)> parallel 2 contraction
// CHECK-SAME: places = [0]
// CHECK-NOT: kernel.nest
func.func @old_weight_is_read(%w: tensor<5x7xf32> {bigm.tensor = 0 : i64}, %x: tensor<11x7xf32>, %g: tensor<11x5xf32>)
    -> (tensor<5x7xf32> {bigm.updates = 0 : i64}, tensor<11x7xf32>) {
  %dw = bigm.contract %g, %x lhs affine_map<(o, i, n) -> (n, o)> rhs affine_map<(o, i, n) -> (n, i)>
      reduced affine_map<() -> (11)> : (tensor<11x5xf32>, tensor<11x7xf32>) -> tensor<5x7xf32>
  %new = bigm.sub %w, %dw : tensor<5x7xf32>
  %dx = bigm.contract %g, %w lhs affine_map<(n, i, o) -> (n, o)> rhs affine_map<(n, i, o) -> (o, i)>
      reduced affine_map<() -> (5)> : (tensor<11x5xf32>, tensor<5x7xf32>) -> tensor<11x7xf32>
  return %new, %dx : tensor<5x7xf32>, tensor<11x7xf32>
}

// -----
// A weight that its own gradient's body reads is not written while others still read it.
// CHECK-LABEL: func.func @reads_itself
// CHECK: kernel.nest {{.*}} contraction
// CHECK-NOT: places = [0]
// CHECK: kernel.nest affine_map<() -> (6, 6)> parallel 2
// CHECK-SAME: places = [0]
func.func @reads_itself(%w: tensor<6x6xf32> {bigm.tensor = 0 : i64}) -> (tensor<6x6xf32> {bigm.updates = 0 : i64}) {
  %p = bigm.contract %w, %w lhs affine_map<(o, i, n) -> (n, o)> rhs affine_map<(o, i, n) -> (n, i)>
      reduced affine_map<() -> (6)> : (tensor<6x6xf32>, tensor<6x6xf32>) -> tensor<6x6xf32>
  %new = bigm.sub %w, %p : tensor<6x6xf32>
  return %new : tensor<6x6xf32>
}
