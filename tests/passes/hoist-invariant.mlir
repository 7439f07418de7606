// What a step of a scan computes from captures alone is computed once, in front of the scan.
// RUN: bigm-opt %s --to-kernels --canonicalize --fuse-kernels --choose-layout --hoist-invariant --mlir-print-local-scope | FileCheck %s

#n = affine_map<()[n, t] -> (n, 16)>
#tn = affine_map<()[n, t] -> (t, n, 16)>

// The copy of the weights that the contraction wants; a step takes it in its layout.
// CHECK-LABEL: func.func @run
// CHECK: %[[TURNED:.*]] = kernel.nest {{.*}}layouts = [array<i64: 1, 0>]
// CHECK: kernel.scan @step from(%{{.*}}) over(%{{.*}}) with(%{{.*}}, %[[TURNED]])
func.func @run(%x: tensor<?x?x16xf32, #tn>, %h: tensor<?x16xf32, #n>, %w: tensor<16x16xf32>)
    -> (tensor<?x16xf32, #n>, tensor<?x?x16xf32, #tn>) attributes {bigm.symbols = ["N", "T"]} {
  %r:2 = bigm.scan @step from(%h) over(%x) with(%w) steps affine_map<()[n, t] -> (t)>
         : (tensor<?x16xf32, #n>, tensor<?x?x16xf32, #tn>, tensor<16x16xf32>) -> (tensor<?x16xf32, #n>, tensor<?x?x16xf32, #tn>)
  return %r#0, %r#1 : tensor<?x16xf32, #n>, tensor<?x?x16xf32, #tn>
}
// CHECK-LABEL: func.func private @step
// CHECK-SAME: kernel.layout = array<i64: 1, 0>
// CHECK-COUNT-1: kernel.nest
// CHECK-NOT: kernel.nest
func.func private @step(%h: tensor<?x16xf32, #n>, %x: tensor<?x16xf32, #n>, %w: tensor<16x16xf32>)
    -> (tensor<?x16xf32, #n>, tensor<?x16xf32, #n>) attributes {bigm.symbols = ["N", "T"]} {
  %c = bigm.contract %h, %w lhs affine_map<(n, o, k) -> (n, k)> rhs affine_map<(n, o, k) -> (o, k)>
       reduced affine_map<()[n, t] -> (16)> : (tensor<?x16xf32, #n>, tensor<16x16xf32>) -> tensor<?x16xf32, #n>
  %s = bigm.add %c, %x : tensor<?x16xf32, #n>
  return %s, %s : tensor<?x16xf32, #n>, tensor<?x16xf32, #n>
}
