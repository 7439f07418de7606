// Cheap values are computed again for late users, when that frees what they would keep.
// RUN: bigm-opt %s --recompute --split-input-file | FileCheck %s

// %h is made of an argument and a small bias; its late user gets a copy, the early one keeps the original.
// CHECK-LABEL: func.func @again
// CHECK-SAME: (%[[X:.*]]: tensor<90x80xf32>, %[[B:.*]]: tensor<80xf32>, %[[W:.*]]: tensor<80x80xf32>)
func.func @again(%x: tensor<90x80xf32>, %b: tensor<80xf32>, %w: tensor<80x80xf32>) -> tensor<90x80xf32> {
  // CHECK: %[[V:.*]] = bigm.view %[[B]]
  // CHECK: %[[H:.*]] = bigm.add %[[X]], %[[V]]
  %bb = bigm.view %b, affine_map<(i, j) -> (j)> : tensor<80xf32> -> tensor<90x80xf32>
  %h = bigm.add %x, %bb : tensor<90x80xf32>
  // CHECK: %[[C:.*]] = bigm.contract %[[H]], %[[W]]
  %c = bigm.contract %h, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (80)> : (tensor<90x80xf32>, tensor<80x80xf32>) -> tensor<90x80xf32>
  // CHECK: %[[V2:.*]] = bigm.view %[[B]]
  // CHECK: %[[H2:.*]] = bigm.add %[[X]], %[[V2]]
  // CHECK: bigm.mul %[[C]], %[[H2]]
  %r = bigm.mul %c, %h : tensor<90x80xf32>
  return %r : tensor<90x80xf32>
}

// -----
// Not when a contraction reads it late: it is kept all the same.
// CHECK-LABEL: func.func @kept_for_contraction
func.func @kept_for_contraction(%x: tensor<90x80xf32>, %w: tensor<80x80xf32>) -> (tensor<90x80xf32>, tensor<80x80xf32>) {
  // CHECK-COUNT-1: bigm.neg
  // CHECK-NOT: bigm.neg
  %h = bigm.neg %x : tensor<90x80xf32>
  %c = bigm.contract %h, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (80)> : (tensor<90x80xf32>, tensor<80x80xf32>) -> tensor<90x80xf32>
  %r = bigm.mul %c, %h : tensor<90x80xf32>
  %d = bigm.contract %h, %r lhs affine_map<(i, j, k) -> (k, i)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (90)> : (tensor<90x80xf32>, tensor<90x80xf32>) -> tensor<80x80xf32>
  return %r, %d : tensor<90x80xf32>, tensor<80x80xf32>
}

// -----
// Not when it costs more than it saves, nor when its operand would have to be kept instead.
// CHECK-LABEL: func.func @not_worth_it
func.func @not_worth_it(%x: tensor<90x80xf32>, %w: tensor<80x80xf32>) -> tensor<90x80xf32> {
  // CHECK-COUNT-1: bigm.tanh
  // CHECK-COUNT-1: bigm.neg
  // CHECK-NOT: bigm.tanh
  // CHECK-NOT: bigm.neg
  %h = bigm.tanh %x : tensor<90x80xf32>
  %n = bigm.neg %h : tensor<90x80xf32>
  %c = bigm.contract %n, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (80)> : (tensor<90x80xf32>, tensor<80x80xf32>) -> tensor<90x80xf32>
  %r = bigm.mul %c, %n : tensor<90x80xf32>
  return %r : tensor<90x80xf32>
}

// -----
// A hyperbolic tangent whose argument is kept anyway, because what is behind the contraction reads it too, is computed again: it
// bears a mark, or it would be found equal to the first. What reads it and is cheap reads the second.
// CHECK-LABEL: func.func @argument_kept_anyway
func.func @argument_kept_anyway(%x: tensor<90x80xf32>, %w: tensor<80x80xf32>) -> tensor<90x80xf32> {
  // CHECK: %[[U:.*]] = bigm.contract %{{.*}}, %{{.*}}
  // CHECK: %[[T:.*]] = bigm.tanh %[[U]] : tensor
  // CHECK: %[[C:.*]] = bigm.contract %[[T]]
  // CHECK: bigm.add %[[C]], %[[U]]
  // CHECK: %[[T2:.*]] = bigm.tanh %[[U]] {bigm.again = 2 : i64}
  // CHECK: bigm.mul %{{.*}}, %[[T2]]
  %u = bigm.contract %x, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
      reduced affine_map<() -> (80)> : (tensor<90x80xf32>, tensor<80x80xf32>) -> tensor<90x80xf32>
  %t = bigm.tanh %u : tensor<90x80xf32>
  %c = bigm.contract %t, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
      reduced affine_map<() -> (80)> : (tensor<90x80xf32>, tensor<80x80xf32>) -> tensor<90x80xf32>
  %a = bigm.add %c, %u : tensor<90x80xf32>
  %r = bigm.mul %a, %t : tensor<90x80xf32>
  return %r : tensor<90x80xf32>
}
