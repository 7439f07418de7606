// What a step gives and nobody reads is not made, and what only that needed is not handed to it.
// RUN: bigm-opt %s --prune-scans --canonicalize --mlir-print-local-scope | FileCheck %s

// CHECK-LABEL: func.func @last(
// CHECK-SAME: %[[X:.*]]: tensor<7x4xf32>, %[[W:.*]]: tensor<4xf32>, %[[H:.*]]: tensor<4xf32>)
// CHECK: %[[R:.*]] = bigm.scan @step from(%[[H]]) over(%[[X]]) with() steps
// CHECK: return %[[R]]
func.func @last(%x: tensor<7x4xf32>, %w: tensor<4xf32>, %h: tensor<4xf32>) -> tensor<4xf32> {
  %r:2 = bigm.scan @step from(%h) over(%x) with(%w) steps affine_map<() -> (7)>
         : (tensor<4xf32>, tensor<7x4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<7x4xf32>)
  return %r#0 : tensor<4xf32>
}
// A scan with the same steps keeps what it reads: they are two functions now.
// CHECK-LABEL: func.func @all(
// CHECK: %[[R:.*]]:2 = bigm.scan @step_0 from(%{{.*}}) over(%{{.*}}) with(%{{.*}}) steps
// CHECK: return %[[R]]#1, %[[R]]#1
func.func @all(%x: tensor<7x4xf32>, %w: tensor<4xf32>, %h: tensor<4xf32>) -> (tensor<7x4xf32>, tensor<7x4xf32>) {
  %r:2 = bigm.scan @step from(%h) over(%x) with(%w) steps affine_map<() -> (7)>
         : (tensor<4xf32>, tensor<7x4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<7x4xf32>)
  return %r#1, %r#1 : tensor<7x4xf32>, tensor<7x4xf32>
}
// CHECK-LABEL: func.func private @step(
// CHECK-NEXT: bigm.add
// CHECK-NEXT: return
func.func private @step(%h: tensor<4xf32>, %x: tensor<4xf32>, %w: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %s = bigm.add %h, %x : tensor<4xf32>
  %y = bigm.mul %s, %w : tensor<4xf32>
  return %s, %y : tensor<4xf32>, tensor<4xf32>
}
