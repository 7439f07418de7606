// A sum whose parts are summed already is not summed again.
// RUN: bigm-opt %s --sum-by-parts --canonicalize --cse --split-input-file | FileCheck %s

#X = affine_map<()[n] -> (n, 4)>

// sum(a * g + (x - m)) with a and m per column, where sum(g) and sum(x) exist: two reductions stay, not three.
// CHECK-LABEL: func.func @parts
// CHECK-SAME: (%[[G:.*]]: tensor<?x4xf32, #{{.*}}>, %[[X:.*]]: tensor<?x4xf32, #{{.*}}>, %[[A:.*]]: tensor<4xf32>, %[[M:.*]]: tensor<4xf32>)
func.func @parts(%g: tensor<?x4xf32, #X>, %x: tensor<?x4xf32, #X>, %a: tensor<4xf32>, %m: tensor<4xf32>)
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) attributes {bigm.symbols = ["N"]} {
  // CHECK-DAG: %[[SG:.*]] = bigm.reduce_sum %[[G]], [0]
  // CHECK-DAG: %[[SX:.*]] = bigm.reduce_sum %[[X]], [0]
  // CHECK-NOT: bigm.reduce_sum
  %sg = bigm.reduce_sum %g, [0] : tensor<?x4xf32, #X> -> tensor<4xf32>
  %sx = bigm.reduce_sum %x, [0] : tensor<?x4xf32, #X> -> tensor<4xf32>
  %ab = bigm.view %a, affine_map<(i, j) -> (j)> : tensor<4xf32> -> tensor<?x4xf32, #X>
  %mb = bigm.view %m, affine_map<(i, j) -> (j)> : tensor<4xf32> -> tensor<?x4xf32, #X>
  %d = bigm.sub %x, %mb : tensor<?x4xf32, #X>
  %p = bigm.mul %ab, %g : tensor<?x4xf32, #X>
  %t = bigm.add %p, %d : tensor<?x4xf32, #X>
  // CHECK-DAG: %[[AG:.*]] = bigm.mul %[[A]], %[[SG]] : tensor<4xf32>
  // CHECK-DAG: %[[N:.*]] = bigm.size
  // CHECK-DAG: %[[NB:.*]] = bigm.view %[[N]]
  // CHECK-DAG: %[[NM:.*]] = bigm.mul %[[M]], %[[NB]] : tensor<4xf32>
  // CHECK: %[[D:.*]] = bigm.sub %[[SX]], %[[NM]] : tensor<4xf32>
  // CHECK: %[[R:.*]] = bigm.add %[[AG]], %[[D]] : tensor<4xf32>
  // CHECK: return %[[SG]], %[[SX]], %[[R]]
  %r = bigm.reduce_sum %t, [0] : tensor<?x4xf32, #X> -> tensor<4xf32>
  return %sg, %sx, %r : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// -----
// Not when a part was never summed, was summed along other dimensions, or varies along the sum.
// CHECK-LABEL: func.func @not_at_hand
func.func @not_at_hand(%g: tensor<3x4xf32>, %x: tensor<3x4xf32>, %a: tensor<3xf32>) -> (tensor<3xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  // CHECK-COUNT-4: bigm.reduce_sum
  %row = bigm.reduce_sum %g, [1] : tensor<3x4xf32> -> tensor<3xf32>
  %sg = bigm.reduce_sum %g, [0] : tensor<3x4xf32> -> tensor<4xf32>
  %t = bigm.add %g, %x : tensor<3x4xf32>
  %s = bigm.reduce_sum %t, [0] : tensor<3x4xf32> -> tensor<4xf32>
  %ab = bigm.view %a, affine_map<(i, j) -> (i)> : tensor<3xf32> -> tensor<3x4xf32>
  %p = bigm.mul %g, %ab : tensor<3x4xf32>
  %u = bigm.reduce_sum %p, [0] : tensor<3x4xf32> -> tensor<4xf32>
  return %row, %sg, %s, %u : tensor<3xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}
