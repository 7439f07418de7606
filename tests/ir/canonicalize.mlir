// Canonical forms of single ops, each beside a case that must stay.
// RUN: bigm-opt %s --canonicalize --split-input-file | FileCheck %s

#N4 = affine_map<()[n] -> (n, 4)>

// CHECK-LABEL: func.func @algebra
// CHECK-SAME: (%[[X:.*]]: tensor<3xf32>, %[[Y:.*]]: tensor<3xf32>)
func.func @algebra(%x: tensor<3xf32>, %y: tensor<3xf32>)
    -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) {
  %one = bigm.constant 1.0 : f32 -> tensor<3xf32>
  %zero = bigm.constant 0.0 : f32 -> tensor<3xf32>
  %two = bigm.constant 2.0 : f32 -> tensor<3xf32>
  %a = bigm.mul %x, %one : tensor<3xf32>
  %b = bigm.add %zero, %x : tensor<3xf32>
  %n = bigm.neg %x : tensor<3xf32>
  %c = bigm.neg %n : tensor<3xf32>
  // CHECK-DAG: %[[D:.*]] = bigm.sub %[[Y]], %[[X]]
  %d = bigm.add %y, %n : tensor<3xf32>
  // CHECK-DAG: %[[E:.*]] = bigm.mul %[[X]], %[[X]]
  %e = bigm.pow %x, %two : tensor<3xf32>
  // CHECK-DAG: %[[F:.*]] = bigm.mul %[[X]], %[[Y]]
  %f = bigm.mul %x, %y : tensor<3xf32>
  // CHECK: return %[[X]], %[[X]], %[[X]], %[[D]], %[[E]], %[[F]]
  return %a, %b, %c, %d, %e, %f : tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
}

// -----
#N4 = affine_map<()[n] -> (n, 4)>

// Constants of a symbolic shape are computed too.
// CHECK-LABEL: func.func @constants
func.func @constants() -> (tensor<?x4xf32, #N4>, tensor<?x4xi1, #N4>) attributes {bigm.symbols = ["N"]} {
  %s = bigm.constant 3.0 : f32 -> tensor<f32>
  %b = bigm.view %s, affine_map<(i, j) -> ()> : tensor<f32> -> tensor<?x4xf32, #N4>
  %t = bigm.constant 2.0 : f32 -> tensor<?x4xf32, #N4>
  // CHECK-DAG: %[[A:.*]] = bigm.constant 1.500000e+00 : f32 -> tensor<?x4xf32
  %d = bigm.div %b, %t : tensor<?x4xf32, #N4>
  // CHECK-DAG: %[[B:.*]] = bigm.constant true -> tensor<?x4xi1
  %c = bigm.gt %b, %t : tensor<?x4xf32, #N4>
  // CHECK: return %[[A]], %[[B]]
  return %d, %c : tensor<?x4xf32, #N4>, tensor<?x4xi1, #N4>
}

// -----
#N4 = affine_map<()[n] -> (n, 4)>

// The sum of ones over a symbolic size is the size.
// CHECK: #[[COUNT:.*]] = affine_map<()[s0] -> (s0 * 4)>
// CHECK-LABEL: func.func @count
func.func @count() -> (tensor<f32>, tensor<f32>) attributes {bigm.symbols = ["N"]} {
  %one = bigm.constant 1.0 : f32 -> tensor<?x4xf32, #N4>
  // CHECK-DAG: %[[A:.*]] = bigm.size #[[COUNT]] -> tensor<f32>
  %a = bigm.reduce_sum %one, [0, 1] : tensor<?x4xf32, #N4> -> tensor<f32>
  %two = bigm.constant 2.0 : f32 -> tensor<5xf32>
  // CHECK-DAG: %[[B:.*]] = bigm.constant 1.000000e+01
  %b = bigm.reduce_sum %two, [0] : tensor<5xf32> -> tensor<f32>
  // CHECK: return %[[A]], %[[B]]
  return %a, %b : tensor<f32>, tensor<f32>
}

// -----
// CHECK: #[[MAP:.*]] = affine_map<(d0, d1) -> (d1, d0 + 1)>
// CHECK-LABEL: func.func @moves
// CHECK-SAME: (%[[X:.*]]: tensor<3x4xf32>)
func.func @moves(%x: tensor<3x4xf32>) -> (tensor<2x3xf32>, tensor<3x4xf32>, tensor<6x2xf32>, tensor<3x4xf32>) {
  %z = bigm.constant 0.0 : f32 -> tensor<f32>
  %t = bigm.view %x, affine_map<(a, b) -> (b, a)> : tensor<3x4xf32> -> tensor<4x3xf32>
  // CHECK-DAG: %[[A:.*]] = bigm.view %[[X]], #[[MAP]] : tensor<3x4xf32> -> tensor<2x3xf32>
  %a = bigm.view %t, affine_map<(a, b) -> (a + 1, b)> : tensor<4x3xf32> -> tensor<2x3xf32>
  %b = bigm.view %t, affine_map<(a, b) -> (b, a)> : tensor<4x3xf32> -> tensor<3x4xf32>
  %r = bigm.reshape %x : tensor<3x4xf32> -> tensor<12xf32>
  // CHECK-DAG: %[[C:.*]] = bigm.reshape %[[X]] : tensor<3x4xf32> -> tensor<6x2xf32>
  %c = bigm.reshape %r : tensor<12xf32> -> tensor<6x2xf32>
  %d = bigm.pad %x, %z low [0, 0] high [0, 0] interior [0, 0] : (tensor<3x4xf32>, tensor<f32>) -> tensor<3x4xf32>
  // CHECK: return %[[A]], %[[X]], %[[C]], %[[X]]
  return %a, %b, %c, %d : tensor<2x3xf32>, tensor<3x4xf32>, tensor<6x2xf32>, tensor<3x4xf32>
}

// -----
// A fold stays only where windows overlap.
// CHECK-LABEL: func.func @folds
// CHECK-SAME: (%[[X:.*]]: tensor<3x2xf32>)
func.func @folds(%x: tensor<3x2xf32>) -> (tensor<2xf32>, tensor<8x2xf32>, tensor<4xf32>) {
  // CHECK-DAG: %[[A:.*]] = bigm.reduce_sum %[[X]], [0]
  %a = bigm.fold %x, affine_map<(a, b) -> (b)> : tensor<3x2xf32> -> tensor<2xf32>
  // CHECK-DAG: %[[B:.*]] = bigm.pad %[[X]], %{{.*}} low [1, 0] high [2, 0] interior [1, 0]
  %b = bigm.fold %x, affine_map<(a, b) -> (a * 2 + 1, b)> : tensor<3x2xf32> -> tensor<8x2xf32>
  // CHECK-DAG: %[[C:.*]] = bigm.fold %[[X]]
  %c = bigm.fold %x, affine_map<(a, b) -> (a + b)> : tensor<3x2xf32> -> tensor<4xf32>
  // CHECK: return %[[A]], %[[B]], %[[C]]
  return %a, %b, %c : tensor<2xf32>, tensor<8x2xf32>, tensor<4xf32>
}

// -----
// CHECK-LABEL: func.func @casts
// CHECK-SAME: (%[[X:.*]]: tensor<2xf32>)
func.func @casts(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %w = bigm.cast %x : tensor<2xf32> -> tensor<2xf64>
  %a = bigm.cast %w : tensor<2xf64> -> tensor<2xf32>
  // CHECK: %[[H:.*]] = bigm.cast %[[X]] : tensor<2xf32> -> tensor<2xf16>
  %h = bigm.cast %x : tensor<2xf32> -> tensor<2xf16>
  // CHECK: %[[B:.*]] = bigm.cast %[[H]]
  %b = bigm.cast %h : tensor<2xf16> -> tensor<2xf32>
  // CHECK: return %[[X]], %[[B]]
  return %a, %b : tensor<2xf32>, tensor<2xf32>
}

// -----
// Transposes and slices melt into the maps of a contraction, and padding that is not read goes.
// CHECK: #[[LHS:.*]] = affine_map<(d0, d1, d2) -> (d2, d0)>
// CHECK: #[[WINDOW:.*]] = affine_map<(d0, d1) -> (d0 + d1)>
// CHECK-LABEL: func.func @contractions
// CHECK-SAME: (%[[X:.*]]: tensor<4x3xf32>, %[[W:.*]]: tensor<4x5xf32>, %[[S:.*]]: tensor<6xf32>, %[[K:.*]]: tensor<3xf32>)
func.func @contractions(%x: tensor<4x3xf32>, %w: tensor<4x5xf32>, %s: tensor<6xf32>, %k: tensor<3xf32>)
    -> (tensor<3x5xf32>, tensor<6xf32>) {
  %z = bigm.constant 0.0 : f32 -> tensor<f32>
  %t = bigm.view %x, affine_map<(a, b) -> (b, a)> : tensor<4x3xf32> -> tensor<3x4xf32>
  // CHECK-DAG: %[[A:.*]] = bigm.contract %[[X]], %[[W]] lhs #[[LHS]]
  %a = bigm.contract %t, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (4)> : (tensor<3x4xf32>, tensor<4x5xf32>) -> tensor<3x5xf32>
  // CHECK-DAG: %[[P:.*]] = bigm.pad %[[S]], %{{.*}} low [1] high [1] interior [0]
  %p = bigm.pad %s, %z low [2] high [2] interior [0] : (tensor<6xf32>, tensor<f32>) -> tensor<10xf32>
  // CHECK-DAG: %[[B:.*]] = bigm.contract %[[P]], %[[K]] lhs #[[WINDOW]] {{.*}} -> tensor<6xf32>
  %c = bigm.contract %p, %k lhs affine_map<(x, i) -> (x + i)> rhs affine_map<(x, i) -> (i)>
       reduced affine_map<() -> (3)> : (tensor<10xf32>, tensor<3xf32>) -> tensor<8xf32>
  %b = bigm.view %c, affine_map<(x) -> (x + 1)> : tensor<8xf32> -> tensor<6xf32>
  // CHECK: return %[[A]], %[[B]]
  return %a, %b : tensor<3x5xf32>, tensor<6xf32>
}

// -----
// What many elements are divided by is inverted once; a divisor of each element's own stays.
// CHECK-LABEL: func.func @divisors
// CHECK-SAME: (%[[X:.*]]: tensor<3x4xf32>, %[[Y:.*]]: tensor<3x4xf32>, %[[S:.*]]: tensor<3xf32>)
func.func @divisors(%x: tensor<3x4xf32>, %y: tensor<3x4xf32>, %s: tensor<3xf32>)
    -> (tensor<3x4xf32>, tensor<3x4xf32>, tensor<3x4xf32>) {
  // CHECK-DAG: %[[QUARTER:.*]] = bigm.constant 2.500000e-01 : f32 -> tensor<3x4xf32>
  // CHECK-DAG: %[[A:.*]] = bigm.mul %[[X]], %[[QUARTER]]
  %four = bigm.constant 4.0 : f32 -> tensor<3x4xf32>
  %a = bigm.div %x, %four : tensor<3x4xf32>
  // CHECK-DAG: %[[I:.*]] = bigm.div %{{.*}}, %[[S]] : tensor<3xf32>
  // CHECK-DAG: %[[IB:.*]] = bigm.view %[[I]]
  // CHECK-DAG: %[[B:.*]] = bigm.mul %[[X]], %[[IB]]
  %sb = bigm.view %s, affine_map<(i, j) -> (i)> : tensor<3xf32> -> tensor<3x4xf32>
  %b = bigm.div %x, %sb : tensor<3x4xf32>
  // CHECK-DAG: %[[C:.*]] = bigm.div %[[X]], %[[Y]]
  %c = bigm.div %x, %y : tensor<3x4xf32>
  // CHECK: return %[[A]], %[[B]], %[[C]]
  return %a, %b, %c : tensor<3x4xf32>, tensor<3x4xf32>, tensor<3x4xf32>
}

// -----
#N = affine_map<()[n] -> (n)>
#N1 = affine_map<()[n] -> (1, n, 1)>
#N4 = affine_map<()[n] -> (n, 4)>
#N22 = affine_map<()[n] -> (n, 2, 2)>

// Dimensions of one element come and go by views.
// CHECK-LABEL: func.func @unit_dims
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32, #{{.*}}>, %[[Y:.*]]: tensor<?x4xf32, #{{.*}}>)
func.func @unit_dims(%x: tensor<?xf32, #N>, %y: tensor<?x4xf32, #N4>) -> (tensor<?xf32, #N>, tensor<?x2x2xf32, #N22>, tensor<?x2x2xf32, #N22>)
    attributes {bigm.symbols = ["N"]} {
  %a = bigm.reshape %x : tensor<?xf32, #N> -> tensor<1x?x1xf32, #N1>
  %b = bigm.view %a, affine_map<(i) -> (0, i, 0)> : tensor<1x?x1xf32, #N1> -> tensor<?xf32, #N>
  // CHECK: %[[R:.*]] = bigm.reshape %[[Y]]
  %c = bigm.reshape %y : tensor<?x4xf32, #N4> -> tensor<?x2x2xf32, #N22>
  // CHECK: %[[V:.*]] = bigm.view %[[X]], #{{.*}} : tensor<?xf32, #{{.*}}> -> tensor<?x2x2xf32
  %d = bigm.view %a, affine_map<(i, j, k) -> (0, i, 0)> : tensor<1x?x1xf32, #N1> -> tensor<?x2x2xf32, #N22>
  // CHECK: return %[[X]], %[[R]], %[[V]]
  return %b, %c, %d : tensor<?xf32, #N>, tensor<?x2x2xf32, #N22>, tensor<?x2x2xf32, #N22>
}

// A linear layer over [N, T, D] runs over these dimensions, whatever its rows were merged from. Not when the result is
// read with merged rows too.
// CHECK-LABEL: func.func @merged_rows
// CHECK-NEXT: %[[C:.*]] = bigm.contract %arg0, %arg1 {{.*}} -> tensor<3x4x7xf32>
// CHECK-NEXT: return %[[C]]
func.func @merged_rows(%x: tensor<3x4x5xf32>, %w: tensor<7x5xf32>) -> tensor<3x4x7xf32> {
  %rows = bigm.reshape %x : tensor<3x4x5xf32> -> tensor<12x5xf32>
  %c = bigm.contract %rows, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<() -> (5)> : (tensor<12x5xf32>, tensor<7x5xf32>) -> tensor<12x7xf32>
  %r = bigm.reshape %c : tensor<12x7xf32> -> tensor<3x4x7xf32>
  return %r : tensor<3x4x7xf32>
}
// CHECK-LABEL: func.func @merged_heads
// CHECK-NEXT: %[[R:.*]] = bigm.reshape %arg0 : tensor<3x4x2x5xf32> -> tensor<3x4x10xf32>
// CHECK-NEXT: %[[C:.*]] = bigm.contract %[[R]], %arg1 {{.*}} -> tensor<3x4x7xf32>
// CHECK-NEXT: return %[[C]]
func.func @merged_heads(%x: tensor<3x4x2x5xf32>, %w: tensor<7x10xf32>) -> tensor<3x4x7xf32> {
  %rows = bigm.reshape %x : tensor<3x4x2x5xf32> -> tensor<12x10xf32>
  %c = bigm.contract %rows, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<() -> (10)> : (tensor<12x10xf32>, tensor<7x10xf32>) -> tensor<12x7xf32>
  %r = bigm.reshape %c : tensor<12x7xf32> -> tensor<3x4x7xf32>
  return %r : tensor<3x4x7xf32>
}
// CHECK-LABEL: func.func @rows_read_twice
// CHECK: bigm.contract {{.*}} -> tensor<12x7xf32>
func.func @rows_read_twice(%x: tensor<3x4x5xf32>, %w: tensor<7x5xf32>) -> (tensor<3x4x7xf32>, tensor<12x7xf32>) {
  %rows = bigm.reshape %x : tensor<3x4x5xf32> -> tensor<12x5xf32>
  %c = bigm.contract %rows, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<() -> (5)> : (tensor<12x5xf32>, tensor<7x5xf32>) -> tensor<12x7xf32>
  %r = bigm.reshape %c : tensor<12x7xf32> -> tensor<3x4x7xf32>
  return %r, %c : tensor<3x4x7xf32>, tensor<12x7xf32>
}

// -----
// What is computed on a tensor with a dimension kept at size 1 is computed without it.
// CHECK-LABEL: func.func @keep
// CHECK: %[[S:.*]] = bigm.add %arg0, %{{.*}} : tensor<?x7xf32
// CHECK: %[[R:.*]] = bigm.rsqrt %[[S]] : tensor<?x7xf32
// CHECK: bigm.view %[[R]], {{.*}} -> tensor<?x7x9xf32
func.func @keep(%v: tensor<?x7xf32, affine_map<()[s0] -> (s0, 7)>>) -> tensor<?x7x9xf32, affine_map<()[s0] -> (s0, 7, 9)>>
    attributes {bigm.symbols = ["N"]} {
  %k = bigm.view %v, affine_map<(a, b, c) -> (a, b)> : tensor<?x7xf32, affine_map<()[s0] -> (s0, 7)>> -> tensor<?x7x1xf32, affine_map<()[s0] -> (s0, 7, 1)>>
  %e = bigm.constant 1.000000e-05 : f32 -> tensor<?x7x1xf32, affine_map<()[s0] -> (s0, 7, 1)>>
  %s = bigm.add %k, %e : tensor<?x7x1xf32, affine_map<()[s0] -> (s0, 7, 1)>>
  %r = bigm.rsqrt %s : tensor<?x7x1xf32, affine_map<()[s0] -> (s0, 7, 1)>>
  %b = bigm.view %r, affine_map<(a, b, c) -> (a, b, 0)> : tensor<?x7x1xf32, affine_map<()[s0] -> (s0, 7, 1)>> -> tensor<?x7x9xf32, affine_map<()[s0] -> (s0, 7, 9)>>
  return %b : tensor<?x7x9xf32, affine_map<()[s0] -> (s0, 7, 9)>>
}

// -----
// What is computed of a choice between two numbers is one, or the condition itself; with another tensor it stays.
// CHECK-LABEL: func.func @choices
// CHECK-SAME: (%[[X:.*]]: tensor<5x3xf32>, %[[M:.*]]: tensor<3xi1>)
// CHECK: %[[SEEN:.*]] = bigm.view %[[M]]
// CHECK-NEXT: %[[HIDDEN:.*]] = bigm.not %[[SEEN]]
// CHECK-DAG: %[[NONE:.*]] = bigm.constant -0.000000e+00
// CHECK-DAG: %[[LOW:.*]] = bigm.constant -6.000000e+00
// CHECK: %[[BIAS:.*]] = bigm.select %[[M]], %[[NONE]], %[[LOW]] : tensor<3xf32>
// CHECK-NEXT: %[[BIASES:.*]] = bigm.view %[[BIAS]]
// CHECK: %[[TWO:.*]] = bigm.select %{{.*}} : tensor<5x3xf32>
// CHECK-NEXT: %[[ADDED:.*]] = bigm.add %[[X]], %[[TWO]]
// CHECK-NEXT: return %[[HIDDEN]], %[[BIASES]], %[[ADDED]]
func.func @choices(%x: tensor<5x3xf32>, %m: tensor<3xi1>) -> (tensor<5x3xi1>, tensor<5x3xf32>, tensor<5x3xf32>) {
  %one = bigm.constant 1.0 : f32 -> tensor<3xf32>
  %zero = bigm.constant 0.0 : f32 -> tensor<3xf32>
  %ones = bigm.select %m, %one, %zero : tensor<3xf32>
  %spread = bigm.view %ones, affine_map<(a, b) -> (b)> : tensor<3xf32> -> tensor<5x3xf32>
  %none = bigm.constant 0.0 : f32 -> tensor<5x3xf32>
  %hidden = bigm.eq %spread, %none : tensor<5x3xf32>
  %number = bigm.cast %m : tensor<3xi1> -> tensor<3xf32>
  %rest = bigm.sub %one, %number : tensor<3xf32>
  %low = bigm.constant -6.0 : f32 -> tensor<3xf32>
  %bias = bigm.mul %rest, %low : tensor<3xf32>
  %biases = bigm.view %bias, affine_map<(a, b) -> (b)> : tensor<3xf32> -> tensor<5x3xf32>
  %two = bigm.constant 2.0 : f32 -> tensor<5x3xf32>
  %two_of = bigm.mul %spread, %two : tensor<5x3xf32>
  %added = bigm.add %x, %two_of : tensor<5x3xf32>
  return %hidden, %biases, %added : tensor<5x3xi1>, tensor<5x3xf32>, tensor<5x3xf32>
}
