// What is computed together.
// RUN: bigm-opt %s --to-kernels --fuse-kernels --canonicalize --split-input-file --mlir-print-local-scope | FileCheck %s

// Pointwise ops after a contraction are its epilogue.
// CHECK-LABEL: func.func @epilogue
// CHECK-COUNT-1: kernel.nest
// CHECK: contraction ["sum"]
// CHECK: finish
// CHECK: arith.addf
// CHECK: math.tanh
// CHECK-NOT: kernel.nest
func.func @epilogue(%x: tensor<5x7xf32>, %w: tensor<7x9xf32>, %b: tensor<9xf32>) -> tensor<5x9xf32> {
  %c = bigm.contract %x, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (7)> : (tensor<5x7xf32>, tensor<7x9xf32>) -> tensor<5x9xf32>
  %v = bigm.view %b, affine_map<(i, j) -> (j)> : tensor<9xf32> -> tensor<5x9xf32>
  %s = bigm.add %c, %v : tensor<5x9xf32>
  %r = bigm.tanh %s : tensor<5x9xf32>
  return %r : tensor<5x9xf32>
}

// -----
// Not what would be computed again for every element of a larger tensor.
// CHECK-LABEL: func.func @broadcast_of_something_dear
// CHECK-COUNT-2: kernel.nest
func.func @broadcast_of_something_dear(%v: tensor<9xf32>, %x: tensor<50x9xf32>) -> tensor<50x9xf32> {
  %e = bigm.exp %v : tensor<9xf32>
  %b = bigm.view %e, affine_map<(i, j) -> (j)> : tensor<9xf32> -> tensor<50x9xf32>
  %r = bigm.mul %x, %b : tensor<50x9xf32>
  return %r : tensor<50x9xf32>
}

// -----
// Operands of a contraction are computed before it; a transpose only changes how they are read.
// CHECK-LABEL: func.func @operands
// CHECK: kernel.nest affine_map<() -> (5, 7)> parallel 2
// CHECK: kernel.nest {{.*}} contraction
// CHECK: kernel.load %{{.*}} affine_map<(d0, d1, d2) -> (d1, d2)>
func.func @operands(%x: tensor<5x7xf32>, %w: tensor<9x7xf32>) -> tensor<5x9xf32> {
  %e = bigm.exp %x : tensor<5x7xf32>
  %t = bigm.view %w, affine_map<(k, j) -> (j, k)> : tensor<9x7xf32> -> tensor<7x9xf32>
  %c = bigm.contract %e, %t lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (7)> : (tensor<5x7xf32>, tensor<7x9xf32>) -> tensor<5x9xf32>
  return %c : tensor<5x9xf32>
}

// -----
// Two sums over one tensor are one pass over it.
// CHECK-LABEL: func.func @siblings
// CHECK-COUNT-1: kernel.nest
// CHECK-SAME: ["sum", "max"]
// CHECK-NOT: kernel.nest
func.func @siblings(%x: tensor<50x9xf32>) -> (tensor<9xf32>, tensor<9xf32>) {
  %a = bigm.reduce_sum %x, [0] : tensor<50x9xf32> -> tensor<9xf32>
  %b = bigm.reduce_max %x, [0] : tensor<50x9xf32> -> tensor<9xf32>
  return %a, %b : tensor<9xf32>, tensor<9xf32>
}
// -----
// A bias in front of a reshape is the epilogue of the contraction; what reads the reshaped tensor reads its memory.
// CHECK-LABEL: func.func @bias_then_reshape
// CHECK: %[[H:.*]] = kernel.nest {{.*}} contraction ["sum"]
// CHECK: finish
// CHECK: arith.addf
// CHECK: kernel.nest {{.*}} contraction ["sum"]
// CHECK: kernel.load %[[H]] affine_map<(d0, d1, d2, d3) -> (d1, d0 * 4 + d3)>
// CHECK: kernel.load %[[H]] affine_map<(d0, d1, d2, d3) -> (d2, d0 * 4 + d3 + 8)>
func.func @bias_then_reshape(%x: tensor<6x5xf32>, %w: tensor<16x5xf32>, %b: tensor<16xf32>) -> tensor<2x6x6xf32> {
  %p = bigm.contract %x, %w lhs affine_map<(t, o, i) -> (t, i)> rhs affine_map<(t, o, i) -> (o, i)>
      reduced affine_map<() -> (5)> : (tensor<6x5xf32>, tensor<16x5xf32>) -> tensor<6x16xf32>
  %bs = bigm.view %b, affine_map<(t, o) -> (o)> : tensor<16xf32> -> tensor<6x16xf32>
  %h = bigm.add %p, %bs : tensor<6x16xf32>
  %r = bigm.reshape %h : tensor<6x16xf32> -> tensor<6x2x2x4xf32>
  %s = bigm.contract %r, %r lhs affine_map<(h, q, k, d) -> (q, 0, h, d)> rhs affine_map<(h, q, k, d) -> (k, 1, h, d)>
      reduced affine_map<() -> (4)> : (tensor<6x2x2x4xf32>, tensor<6x2x2x4xf32>) -> tensor<2x6x6xf32>
  return %s : tensor<2x6x6xf32>
}

// -----
// Attention reads queries, keys and values in the tensor that they are parts of.
// CHECK-LABEL: func.func @parts_of_attention
// CHECK-NOT: kernel.nest
// CHECK: kernel.attend(%arg0, %arg0, %arg0) affine_map<() -> (2, 3, 9, 9, 4)>
// CHECK-SAME: affine_map<(d0, d1, d2, d3) -> (d0, d1, d2 * 4 + d3)>,
// CHECK-SAME: affine_map<(d0, d1, d2, d3) -> (d0, d1, d2 * 4 + d3 + 12)>,
func.func @parts_of_attention(%x: tensor<2x9x36xf32>) -> tensor<2x9x3x4xf32> {
  %r = bigm.reshape %x : tensor<2x9x36xf32> -> tensor<2x9x3x3x4xf32>
  %q = bigm.view %r, affine_map<(n, i, h, d) -> (n, i, 0, h, d)> : tensor<2x9x3x3x4xf32> -> tensor<2x9x3x4xf32>
  %k = bigm.view %r, affine_map<(n, i, h, d) -> (n, i, 1, h, d)> : tensor<2x9x3x3x4xf32> -> tensor<2x9x3x4xf32>
  %v = bigm.view %r, affine_map<(n, i, h, d) -> (n, i, 2, h, d)> : tensor<2x9x3x3x4xf32> -> tensor<2x9x3x4xf32>
  %y, %s = bigm.attention %q, %k, %v
           : (tensor<2x9x3x4xf32>, tensor<2x9x3x4xf32>, tensor<2x9x3x4xf32>) -> (tensor<2x9x3x4xf32>, tensor<2x3x9xf32>)
  return %y : tensor<2x9x3x4xf32>
}

// -----
// But not where the elements of a head would lie apart.
// CHECK-LABEL: func.func @turned_keys
// CHECK: kernel.nest
// CHECK: kernel.attend
func.func @turned_keys(%q: tensor<2x9x3x4xf32>, %t: tensor<2x3x4x9xf32>) -> tensor<2x9x3x4xf32> {
  %k = bigm.view %t, affine_map<(n, j, h, d) -> (n, h, d, j)> : tensor<2x3x4x9xf32> -> tensor<2x9x3x4xf32>
  %y, %s = bigm.attention %q, %k, %q
           : (tensor<2x9x3x4xf32>, tensor<2x9x3x4xf32>, tensor<2x9x3x4xf32>) -> (tensor<2x9x3x4xf32>, tensor<2x3x9xf32>)
  return %y : tensor<2x9x3x4xf32>
}
