// Every op becomes a nest that says how an element comes about.
// RUN: bigm-opt %s --to-kernels --split-input-file --mlir-print-local-scope | FileCheck %s

// Padding is a read behind a guard.
// CHECK-LABEL: func.func @pad
// CHECK: kernel.nest affine_map<() -> (9)> parallel 1
// CHECK: kernel.load %{{.*}} affine_map<(d0) -> (d0 - 1)> inside affine_set<(d0) : (d0 - 1 >= 0, -(d0 - 1) + 6 >= 0)> otherwise
func.func @pad(%x: tensor<7xf32>, %v: tensor<f32>) -> tensor<9xf32> {
  %r = bigm.pad %x, %v low [1] high [1] interior [0] : (tensor<7xf32>, tensor<f32>) -> tensor<9xf32>
  return %r : tensor<9xf32>
}

// -----
// Windows that tile fold back without a sum.
// CHECK-LABEL: func.func @tiling_fold
// CHECK: kernel.nest affine_map<() -> (8)> parallel 1 {
// CHECK: kernel.load %{{.*}} affine_map<(d0) -> (d0 floordiv 2, d0 mod 2)>
func.func @tiling_fold(%x: tensor<4x2xf32>) -> tensor<8xf32> {
  %r = bigm.fold %x, affine_map<(h, k) -> (h * 2 + k)> : tensor<4x2xf32> -> tensor<8xf32>
  return %r : tensor<8xf32>
}

// -----
// Windows that overlap do not.
// CHECK-LABEL: func.func @overlapping_fold
// CHECK: kernel.nest affine_map<() -> (9, 3)> parallel 1 ["sum"]
func.func @overlapping_fold(%x: tensor<4x3xf32>) -> tensor<9xf32> {
  %r = bigm.fold %x, affine_map<(h, k) -> (h * 2 + k)> : tensor<4x3xf32> -> tensor<9xf32>
  return %r : tensor<9xf32>
}

// -----
// Splitting a dimension is a view; joining two is the same memory under another shape.
// CHECK-LABEL: func.func @reshapes
// CHECK: kernel.load %{{.*}} affine_map<(d0, d1) -> (d0 * 4 + d1)>
// CHECK: kernel.alias
func.func @reshapes(%x: tensor<12xf32>) -> tensor<12xf32> {
  %s = bigm.reshape %x : tensor<12xf32> -> tensor<3x4xf32>
  %j = bigm.reshape %s : tensor<3x4xf32> -> tensor<12xf32>
  return %j : tensor<12xf32>
}

// -----
// Adding rows where ids say is no nest: each place of the table would have to look through all ids.
// CHECK-LABEL: func.func @scatter
// CHECK-NOT: kernel.nest
// CHECK: kernel.scatter %arg0, %arg1 : (tensor<9x4xf32>, tensor<9xi32>) -> tensor<5x4xf32>
func.func @scatter(%u: tensor<9x4xf32>, %i: tensor<9xi32>) -> tensor<5x4xf32> {
  %0 = bigm.scatter_add %u, %i : (tensor<9x4xf32>, tensor<9xi32>) -> tensor<5x4xf32>
  return %0 : tensor<5x4xf32>
}

// -----
// Attention is one kernel, which has no matrix of scores.
// CHECK-LABEL: func.func @attention
// CHECK-NOT: kernel.nest
// CHECK: kernel.attend causal(%arg0, %arg1, %arg1) affine_map<() -> (2, 3, 9, 7, 4)>
// CHECK-NOT: kernel.nest
func.func @attention(%q: tensor<2x9x3x4xf32>, %k: tensor<2x7x3x4xf32>) -> tensor<2x9x3x4xf32> {
  %y, %s = bigm.attention %q, %k, %k causal
           : (tensor<2x9x3x4xf32>, tensor<2x7x3x4xf32>, tensor<2x7x3x4xf32>) -> (tensor<2x9x3x4xf32>, tensor<2x3x9xf32>)
  return %y : tensor<2x9x3x4xf32>
}

// -----
// Over kept rows it is one kernel too, however few the queries are.
// CHECK-LABEL: func.func @cached_attention
// CHECK-NOT: kernel.nest
// CHECK: kernel.attend cached causal(%arg0, %arg1, %arg1, %arg2, %arg2, %arg3, %arg3) affine_map<() -> (2, 4, 1, 9, 8, 2)>
func.func @cached_attention(%q: tensor<2x1x4x8xf32>, %k: tensor<2x1x2x8xf32>, %c: tensor<5x9x2x8xf32>, %n: tensor<2xi32>) -> tensor<2x1x4x8xf32> {
  %y = bigm.cached_attention %q, %k, %k over %c, %c at %n, %n
       : (tensor<2x1x4x8xf32>, tensor<2x1x2x8xf32>, tensor<2x1x2x8xf32>, tensor<5x9x2x8xf32>, tensor<5x9x2x8xf32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x1x4x8xf32>
  return %y : tensor<2x1x4x8xf32>
}

// -----
// Of a few queries, whose lanes would be idle, it is what it means: scores, weights, a weighted sum.
// CHECK-LABEL: func.func @attention_of_one_query
// CHECK-NOT: kernel.attend
// CHECK: kernel.nest affine_map<() -> (2, 3, 1, 7, 4)> parallel 4 contraction ["sum"]
func.func @attention_of_one_query(%q: tensor<2x1x3x4xf32>, %k: tensor<2x7x3x4xf32>) -> tensor<2x1x3x4xf32> {
  %y, %s = bigm.attention %q, %k, %k causal
           : (tensor<2x1x3x4xf32>, tensor<2x7x3x4xf32>, tensor<2x7x3x4xf32>) -> (tensor<2x1x3x4xf32>, tensor<2x3x1xf32>)
  return %y : tensor<2x1x3x4xf32>
}

// -----
// And so it is of other numbers than f32.
// CHECK-LABEL: func.func @attention_in_f64
// CHECK-NOT: kernel.attend
// CHECK: kernel.nest affine_map<() -> (2, 3, 9, 7, 4)> parallel 4 contraction ["sum"]
func.func @attention_in_f64(%q: tensor<2x9x3x4xf64>, %k: tensor<2x7x3x4xf64>) -> tensor<2x9x3x4xf64> {
  %y, %s = bigm.attention %q, %k, %k causal
           : (tensor<2x9x3x4xf64>, tensor<2x7x3x4xf64>, tensor<2x7x3x4xf64>) -> (tensor<2x9x3x4xf64>, tensor<2x3x9xf64>)
  return %y : tensor<2x9x3x4xf64>
}

// -----
// Ids that a caller gives were looked at. What a step of a scan reads was not, nor what goes into a table of open size: ids
// without a row count as 0.
// CHECK-LABEL: func.func private @gather_in_a_step
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult, %[[ID:.*]], %c4_i64
// CHECK: arith.select %[[INSIDE]], %[[ID]], %c0_i64
func.func private @gather_in_a_step(%t: tensor<4x2xf32>, %i: tensor<3xi32>) -> tensor<3x2xf32> {
  %0 = bigm.gather %t, %i : (tensor<4x2xf32>, tensor<3xi32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// CHECK-LABEL: func.func @gather_of_what_is_given
// CHECK-NOT: arith.select
func.func @gather_of_what_is_given(%t: tensor<4x2xf32>, %i: tensor<3xi32>) -> tensor<3x2xf32> {
  %0 = bigm.gather %t, %i : (tensor<4x2xf32>, tensor<3xi32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// CHECK-LABEL: func.func @gather_of_an_open_table
// CHECK: %[[ROWS:.*]] = kernel.index affine_map<(d0, d1)[s0] -> (s0)>
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult, %[[ID:.*]], %[[ROWS]]
// CHECK: arith.select %[[INSIDE]], %[[ID]], %c0_i64
func.func @gather_of_an_open_table(%t: tensor<?x2xf32, affine_map<()[t] -> (t, 2)>>, %i: tensor<3xi32>) -> tensor<3x2xf32>
    attributes {bigm.symbols = ["T"]} {
  %0 = bigm.gather %t, %i : (tensor<?x2xf32, affine_map<()[t] -> (t, 2)>>, tensor<3xi32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}
