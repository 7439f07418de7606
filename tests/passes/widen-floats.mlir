// 16-bit floats are computed in f32 and rounded where they are written; copies stay copies.
// RUN: bigm-opt %s --to-kernels --widen-floats | FileCheck %s

// CHECK-LABEL: func.func @product
// CHECK: %[[X:.*]] = kernel.load %arg0 {{.*}} -> bf16
// CHECK: %[[WX:.*]] = arith.extf %[[X]] : bf16 to f32
// CHECK: %[[P:.*]] = arith.mulf %[[WX]], %{{.*}} : f32
// CHECK: kernel.yield %[[P]] : f32
// CHECK: ^bb0(%[[SUM:.*]]: f32):
// CHECK: %[[R:.*]] = arith.truncf %[[SUM]] : f32 to bf16
// CHECK: kernel.yield %[[R]] : bf16
func.func @product(%x: tensor<3x5xbf16>, %y: tensor<5x7xbf16>) -> tensor<3x7xbf16> {
  %c = bigm.contract %x, %y lhs affine_map<(i, j, l) -> (i, l)> rhs affine_map<(i, j, l) -> (l, j)>
    reduced affine_map<() -> (5)> : (tensor<3x5xbf16>, tensor<5x7xbf16>) -> tensor<3x7xbf16>
  return %c : tensor<3x7xbf16>
}

// CHECK-LABEL: func.func @turned
// CHECK-NOT: extf
// CHECK: return
func.func @turned(%x: tensor<3x5xf16>) -> tensor<5x3xf16> {
  %r = bigm.view %x, affine_map<(i, j) -> (j, i)> : tensor<3x5xf16> -> tensor<5x3xf16>
  return %r : tensor<5x3xf16>
}
