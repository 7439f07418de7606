// Why two kernels are not one.
// RUN: bigm-opt %s --to-kernels --fuse-kernels --canonicalize --explain-fusion --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s

// CHECK-LABEL: func.func @again
// CHECK: apart = {{\[\[}}loc("net.bigm":3:5), "it would be computed again for every element that reads it"{{\]\]}}
func.func @again(%v: tensor<9xf32>, %x: tensor<50x9xf32>) -> tensor<50x9xf32> {
  %e = bigm.exp %v : tensor<9xf32> loc("net.bigm":3:5)
  %b = bigm.view %e, affine_map<(i, j) -> (j)> : tensor<9xf32> -> tensor<50x9xf32>
  %r = bigm.mul %x, %b : tensor<50x9xf32>
  return %r : tensor<50x9xf32>
}

// CHECK-LABEL: func.func @operand
// CHECK: apart = {{\[\[}}loc("net.bigm":7:1), "operands of a contraction are plain loads"{{\]\]}}
func.func @operand(%x: tensor<5x7xf32>, %w: tensor<7x9xf32>) -> tensor<5x9xf32> {
  %e = bigm.exp %x : tensor<5x7xf32> loc("net.bigm":7:1)
  %c = bigm.contract %e, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (7)> : (tensor<5x7xf32>, tensor<7x9xf32>) -> tensor<5x9xf32>
  return %c : tensor<5x9xf32>
}

// Two heads over one trunk: the later one says why it is not one with the earlier.
// CHECK-LABEL: func.func @heads
// CHECK: apart = {{\[\[}}loc("net.bigm":9:1), {{.*}}[loc("net.bigm":10:1), "both read the same, and each is a product of its own"{{\]\]}}
func.func @heads(%x: tensor<5x7xf32>, %w: tensor<7x9xf32>, %v: tensor<7x3xf32>) -> (tensor<5x9xf32>, tensor<5x3xf32>) {
  %e = bigm.exp %x : tensor<5x7xf32> loc("net.bigm":9:1)
  %c = bigm.contract %e, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (7)> : (tensor<5x7xf32>, tensor<7x9xf32>) -> tensor<5x9xf32> loc("net.bigm":10:1)
  %d = bigm.contract %e, %v lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (7)> : (tensor<5x7xf32>, tensor<7x3xf32>) -> tensor<5x3xf32> loc("net.bigm":11:1)
  return %c, %d : tensor<5x9xf32>, tensor<5x3xf32>
}

// What is one kernel has nothing to say.
// CHECK-LABEL: func.func @together
// CHECK-NOT: apart
func.func @together(%x: tensor<5x7xf32>) -> tensor<5x7xf32> {
  %e = bigm.exp %x : tensor<5x7xf32>
  %r = bigm.tanh %e : tensor<5x7xf32>
  return %r : tensor<5x7xf32>
}
