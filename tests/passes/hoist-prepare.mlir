// What depends on weights alone is computed by `bigm.prepare`, equal values of several entries once.
// RUN: bigm-opt %s --to-kernels --canonicalize --fuse-kernels --choose-layout --hoist-prepare --split-input-file --mlir-print-local-scope | FileCheck %s

#x = affine_map<()[s0] -> (s0, 24)>
#y = affine_map<()[s0] -> (s0, 16)>

// Both entries want the weights the other way round; there is one such copy, and it keeps its layout.
// CHECK-LABEL: func.func @predict
// CHECK-SAME: bigm.prepared = 0 : i64, bigm.role = "prepared", kernel.layout = array<i64: 1, 0>
// CHECK-COUNT-1: kernel.nest
// CHECK-NOT: kernel.nest
func.func @predict(%x: tensor<?x24xf32, #x>, %w: tensor<16x24xf32> {bigm.tensor = 0 : i64}) -> tensor<?x16xf32, #y>
    attributes {bigm.symbols = ["N"]} {
  %c = bigm.contract %x, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<()[s0] -> (24)> : (tensor<?x24xf32, #x>, tensor<16x24xf32>) -> tensor<?x16xf32, #y>
  return %c : tensor<?x16xf32, #y>
}
// CHECK-LABEL: func.func @predict_positive
// CHECK-SAME: bigm.prepared = 0 : i64
// CHECK-COUNT-1: kernel.nest
// CHECK-NOT: kernel.nest
func.func @predict_positive(%w: tensor<16x24xf32> {bigm.tensor = 0 : i64}, %x: tensor<?x24xf32, #x>)
    -> tensor<?x16xf32, #y> attributes {bigm.symbols = ["N"]} {
  %c = bigm.contract %x, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<()[s0] -> (24)> : (tensor<?x24xf32, #x>, tensor<16x24xf32>) -> tensor<?x16xf32, #y>
  %r = bigm.abs %c : tensor<?x16xf32, #y>
  return %r : tensor<?x16xf32, #y>
}
// A train step changes the weights that predictions read: it packs them itself.
// CHECK-LABEL: func.func @step
// CHECK-NOT: bigm.prepared
// CHECK-COUNT-2: kernel.nest
func.func @step(%x: tensor<?x24xf32, #x>, %w: tensor<16x24xf32> {bigm.tensor = 0 : i64})
    -> (tensor<?x16xf32, #y>, tensor<16x24xf32> {bigm.updates = 0 : i64}) attributes {bigm.symbols = ["N"]} {
  %c = bigm.contract %x, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<()[s0] -> (24)> : (tensor<?x24xf32, #x>, tensor<16x24xf32>) -> tensor<?x16xf32, #y>
  %n = bigm.neg %w : tensor<16x24xf32>
  return %c, %n : tensor<?x16xf32, #y>, tensor<16x24xf32>
}
// CHECK-LABEL: func.func @bigm.prepare
// CHECK-SAME: (%{{.*}}: tensor<16x24xf32> {bigm.role = "tensor", bigm.tensor = 0 : i64}) -> (tensor<16x24xf32> {bigm.prepared = 0 : i64})
// CHECK-COUNT-1: kernel.nest
// CHECK-NOT: kernel.nest

// -----
// What reads an input and what the caller asked for stay.
// CHECK-LABEL: func.func @stays
// CHECK-NOT: bigm.prepare
func.func @stays(%x: tensor<7xf32>, %w: tensor<7xf32> {bigm.tensor = 0 : i64})
    -> (tensor<7xf32>, tensor<7xf32>) {
  %a = bigm.add %x, %w : tensor<7xf32>
  %b = bigm.exp %w : tensor<7xf32>
  return %a, %b : tensor<7xf32>, tensor<7xf32>
}
