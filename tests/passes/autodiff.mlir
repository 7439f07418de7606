// What autodiff emits, and what it leaves out. That gradients are right is shown by GradientTest.cpp.
// RUN: bigm-opt %s --autodiff --canonicalize --cse --split-input-file | FileCheck %s

// A frozen layer below what is learned has no backward ops: from the loss to %w2 there is one contraction, and nothing
// is computed for %w1 or %x.
// CHECK-LABEL: func.func @frozen_below
// CHECK-SAME: (%[[X:.*]]: tensor<3x4xf32>, %[[W1:.*]]: tensor<4x5xf32>, %[[W2:.*]]: tensor<5x2xf32>)
func.func @frozen_below(%x: tensor<3x4xf32>, %w1: tensor<4x5xf32>, %w2: tensor<5x2xf32>) -> tensor<5x2xf32> {
  // CHECK: %[[C:.*]] = bigm.contract %[[X]], %[[W1]]
  %c = bigm.contract %x, %w1 lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (4)> : (tensor<3x4xf32>, tensor<4x5xf32>) -> tensor<3x5xf32>
  // CHECK: %[[H:.*]] = bigm.tanh %[[C]]
  %h = bigm.tanh %c : tensor<3x5xf32>
  // CHECK: %[[Y:.*]] = bigm.contract %[[H]], %[[W2]]
  %y = bigm.contract %h, %w2 lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (5)> : (tensor<3x5xf32>, tensor<5x2xf32>) -> tensor<3x2xf32>
  %s = bigm.mul %y, %y : tensor<3x2xf32>
  %l = bigm.reduce_sum %s, [0, 1] : tensor<3x2xf32> -> tensor<f32>
  // CHECK-NEXT: %[[DY:.*]] = bigm.add %[[Y]], %[[Y]]
  // CHECK-NEXT: %[[D:.*]] = bigm.contract %[[H]], %[[DY]]
  // CHECK-NEXT: return %[[D]]
  %g = bigm.gradient %l wrt %w2 : (tensor<f32>, tensor<5x2xf32>) -> tensor<5x2xf32>
  return %g : tensor<5x2xf32>
}

// -----
// A frozen layer above what is learned passes the cotangent on, and gets no gradient of its own.
// CHECK-LABEL: func.func @frozen_above
func.func @frozen_above(%x: tensor<3x4xf32>, %w1: tensor<4x5xf32>, %w2: tensor<5x2xf32>) -> tensor<4x5xf32> {
  // CHECK-COUNT-4: bigm.contract
  // CHECK-NOT: bigm.contract
  %c = bigm.contract %x, %w1 lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (4)> : (tensor<3x4xf32>, tensor<4x5xf32>) -> tensor<3x5xf32>
  %y = bigm.contract %c, %w2 lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (5)> : (tensor<3x5xf32>, tensor<5x2xf32>) -> tensor<3x2xf32>
  %s = bigm.mul %y, %y : tensor<3x2xf32>
  %l = bigm.reduce_sum %s, [0, 1] : tensor<3x2xf32> -> tensor<f32>
  %g = bigm.gradient %l wrt %w1 : (tensor<f32>, tensor<4x5xf32>) -> tensor<4x5xf32>
  return %g : tensor<4x5xf32>
}

// -----
// Nothing flows through stop_gradient, comparisons and steps; y that does not depend on x gives zero.
// CHECK-LABEL: func.func @stopped
func.func @stopped(%x: tensor<f32>, %z: tensor<f32>) -> (tensor<f32>, tensor<f32>) {
  %s = bigm.stop_gradient %x : tensor<f32>
  %f = bigm.floor %x : tensor<f32>
  %p = bigm.mul %s, %f : tensor<f32>
  %g:2 = bigm.gradient %p wrt %x, %z : (tensor<f32>, tensor<f32>, tensor<f32>) -> (tensor<f32>, tensor<f32>)
  // CHECK: %[[ZERO:.*]] = bigm.constant 0.000000e+00
  // CHECK-NEXT: return %[[ZERO]], %[[ZERO]]
  return %g#0, %g#1 : tensor<f32>, tensor<f32>
}

// -----
// The second derivative of x^3 is 6 x.
// CHECK-LABEL: func.func @second_order
// CHECK-SAME: (%[[X:.*]]: tensor<f32>)
func.func @second_order(%x: tensor<f32>) -> tensor<f32> {
  %xx = bigm.mul %x, %x : tensor<f32>
  %y = bigm.mul %xx, %x : tensor<f32>
  %g = bigm.gradient %y wrt %x : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %h = bigm.gradient %g wrt %x : (tensor<f32>, tensor<f32>) -> tensor<f32>
  // CHECK-NOT: bigm.gradient
  // CHECK-NOT: bigm.mul
  // CHECK: bigm.add
  return %h : tensor<f32>
}

// -----
// The gradient of a convolution to its input is a convolution of the padded cotangent with the flipped weights; where
// the input had a pad of its own, no more is padded and computed than is needed.
// CHECK: #[[FLIPPED:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0, d4, d2 - d5 + 2, d3 - d6 + 2)>
// CHECK-LABEL: func.func @convolution
func.func @convolution(%x: tensor<2x3x8x9xf32>, %w: tensor<4x3x3x3xf32>, %d: tensor<2x4x8x9xf32>) -> tensor<2x3x8x9xf32> {
  %z = bigm.constant 0.0 : f32 -> tensor<f32>
  %p = bigm.pad %x, %z low [0, 0, 1, 1] high [0, 0, 1, 1] interior [0, 0, 0, 0]
       : (tensor<2x3x8x9xf32>, tensor<f32>) -> tensor<2x3x10x11xf32>
  %c = bigm.contract %p, %w lhs affine_map<(n, o, y, x, c, i, j) -> (n, c, y + i, x + j)>
       rhs affine_map<(n, o, y, x, c, i, j) -> (o, c, i, j)> reduced affine_map<() -> (3, 3, 3)>
       : (tensor<2x3x10x11xf32>, tensor<4x3x3x3xf32>) -> tensor<2x4x8x9xf32>
  %m = bigm.mul %c, %d : tensor<2x4x8x9xf32>
  %l = bigm.reduce_sum %m, [0, 1, 2, 3] : tensor<2x4x8x9xf32> -> tensor<f32>
  // CHECK: %[[P:.*]] = bigm.pad %{{.*}}, %{{.*}} low [0, 0, 1, 1] high [0, 0, 1, 1] interior [0, 0, 0, 0]
  // CHECK-NEXT: %[[G:.*]] = bigm.contract %[[P]], %{{.*}} lhs #[[FLIPPED]]
  // CHECK-SAME: -> tensor<2x3x8x9xf32>
  // CHECK-NEXT: return %[[G]]
  %g = bigm.gradient %l wrt %x : (tensor<f32>, tensor<2x3x8x9xf32>) -> tensor<2x3x8x9xf32>
  return %g : tensor<2x3x8x9xf32>
}

// -----
// The gradient of attention is one op; what it gives is differentiated once more in its expanded form.
// CHECK-LABEL: func.func @attention
// CHECK: %[[Y:.*]], %[[S:.*]] = bigm.attention
// CHECK: bigm.attention_grad %arg0, %arg0, %arg0, %{{.*}}, %[[S]]
// CHECK-NOT: bigm.contract
// CHECK-LABEL: func.func @second_order
// CHECK: bigm.attention
// CHECK-COUNT-5: bigm.contract
// CHECK: bigm.attention_grad
func.func @attention(%x: tensor<2x5x3x4xf32>) -> tensor<2x5x3x4xf32> {
  %y, %s = bigm.attention %x, %x, %x
           : (tensor<2x5x3x4xf32>, tensor<2x5x3x4xf32>, tensor<2x5x3x4xf32>) -> (tensor<2x5x3x4xf32>, tensor<2x3x5xf32>)
  %l = bigm.reduce_sum %y, [0, 1, 2, 3] : tensor<2x5x3x4xf32> -> tensor<f32>
  %g = bigm.gradient %l wrt %x : (tensor<f32>, tensor<2x5x3x4xf32>) -> tensor<2x5x3x4xf32>
  return %g : tensor<2x5x3x4xf32>
}
func.func @second_order(%x: tensor<2x5x3x4xf32>) -> tensor<2x5x3x4xf32> {
  %y, %s = bigm.attention %x, %x, %x
           : (tensor<2x5x3x4xf32>, tensor<2x5x3x4xf32>, tensor<2x5x3x4xf32>) -> (tensor<2x5x3x4xf32>, tensor<2x3x5xf32>)
  %l = bigm.reduce_sum %y, [0, 1, 2, 3] : tensor<2x5x3x4xf32> -> tensor<f32>
  %g = bigm.gradient %l wrt %x : (tensor<f32>, tensor<2x5x3x4xf32>) -> tensor<2x5x3x4xf32>
  %n = bigm.reduce_sum %g, [0, 1, 2, 3] : tensor<2x5x3x4xf32> -> tensor<f32>
  %h = bigm.gradient %n wrt %x : (tensor<f32>, tensor<2x5x3x4xf32>) -> tensor<2x5x3x4xf32>
  return %h : tensor<2x5x3x4xf32>
}

// -----
// A scan keeps the states and the product of each step; the scan backwards carries cotangents and no sum for the weights,
// whose gradient is one contraction over all steps.
#tn = affine_map<()[n, t] -> (t, n, 4)>
#n = affine_map<()[n, t] -> (n, 4)>
// CHECK-LABEL: func.func @recurrence
// CHECK: %[[KEPT:.*]]:3 = bigm.scan @step.kept
// CHECK: %[[BACK:.*]]:2 = bigm.scan @step.grad from(%{{.*}}) over(%[[KEPT]]#1, %[[KEPT]]#2, {{.*}} reverse
// CHECK: bigm.contract %[[KEPT]]#1, %[[BACK]]#1 {{.*}} reduced
func.func @recurrence(%x: tensor<?x?x4xf32, #tn>, %h: tensor<?x4xf32, #n>, %w: tensor<4x4xf32>) -> tensor<4x4xf32>
    attributes {bigm.symbols = ["N", "T"]} {
  %r = bigm.scan @step from(%h) over(%x) with(%w) steps affine_map<()[n, t] -> (t)>
       : (tensor<?x4xf32, #n>, tensor<?x?x4xf32, #tn>, tensor<4x4xf32>) -> tensor<?x4xf32, #n>
  %l = bigm.reduce_sum %r, [0, 1] : tensor<?x4xf32, #n> -> tensor<f32>
  %g = bigm.gradient %l wrt %w : (tensor<f32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %g : tensor<4x4xf32>
}
func.func private @step(%h: tensor<?x4xf32, #n>, %x: tensor<?x4xf32, #n>, %w: tensor<4x4xf32>) -> tensor<?x4xf32, #n>
    attributes {bigm.symbols = ["N", "T"]} {
  %p = bigm.contract %h, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (k, o)>
       reduced affine_map<()[n, t] -> (4)> : (tensor<?x4xf32, #n>, tensor<4x4xf32>) -> tensor<?x4xf32, #n>
  %s = bigm.add %p, %x : tensor<?x4xf32, #n>
  %t = bigm.tanh %s : tensor<?x4xf32, #n>
  return %t : tensor<?x4xf32, #n>
}
