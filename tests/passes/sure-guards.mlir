// RUN: bigm-opt --canonicalize --cse --split-input-file --mlir-print-local-scope %s | FileCheck %s

// A guard that the bounds of the nest's dimensions imply is none, and then the load is the same as one without.
// CHECK-LABEL: func.func @whole_windows
// CHECK: %[[A:.*]] = kernel.load %{{.*}} affine_map<(d0, d1)[s0] -> (d0, d1 floordiv 2)> : tensor
// CHECK-NOT: kernel.load
// CHECK-NOT: kernel.test
// CHECK: arith.addf %[[A]], %[[A]]
func.func @whole_windows(%x: tensor<?x7xf32, affine_map<()[s0] -> (s0, 7)>>) -> tensor<?x14xf32, affine_map<()[s0] -> (s0, 14)>>
    attributes {bigm.symbols = ["N"]} {
  %r = kernel.nest affine_map<()[s0] -> (s0, 14)> parallel 2 {
    %z = arith.constant 0.0 : f32
    %a = kernel.load %x affine_map<(d0, d1)[s0] -> (d0, d1 floordiv 2)> : tensor<?x7xf32, affine_map<()[s0] -> (s0, 7)>> -> f32
    %b = kernel.load %x affine_map<(d0, d1)[s0] -> (d0, d1 floordiv 2)> inside affine_set<(d0, d1)[s0] : (-(d1 floordiv 2) + 6 >= 0, d1 - d1 == 0)>
        otherwise %z : f32 : tensor<?x7xf32, affine_map<()[s0] -> (s0, 7)>> -> f32
    %t = kernel.test affine_set<(d0, d1)[s0] : (d1 mod 3 >= 0, d0 + s0 >= 0)>
    %c = arith.select %t, %b, %z : f32
    %s = arith.addf %a, %c : f32
    kernel.yield %s : f32
  } : tensor<?x14xf32, affine_map<()[s0] -> (s0, 14)>>
  return %r : tensor<?x14xf32, affine_map<()[s0] -> (s0, 14)>>
}

// -----
// What some point does not satisfy stays: the last window is cut, an open size has no upper bound, a remainder may be 0.
// CHECK-LABEL: func.func @cut_window
// CHECK: inside affine_set<(d0, d1)[s0] : (-(d1 floordiv 2) + 5 >= 0)>
// CHECK: kernel.test affine_set<(d0, d1)[s0] : (-d0 + 7 >= 0, d1 mod 2 - 1 >= 0)>
func.func @cut_window(%x: tensor<?x6xf32, affine_map<()[s0] -> (s0, 6)>>) -> tensor<?x13xf32, affine_map<()[s0] -> (s0, 13)>>
    attributes {bigm.symbols = ["N"]} {
  %r = kernel.nest affine_map<()[s0] -> (s0, 13)> parallel 2 {
    %z = arith.constant 0.0 : f32
    %b = kernel.load %x affine_map<(d0, d1)[s0] -> (d0, d1 floordiv 2)> inside affine_set<(d0, d1)[s0] : (-(d1 floordiv 2) + 5 >= 0, d1 >= 0)>
        otherwise %z : f32 : tensor<?x6xf32, affine_map<()[s0] -> (s0, 6)>> -> f32
    %t = kernel.test affine_set<(d0, d1)[s0] : (-d0 + 7 >= 0, d1 mod 2 - 1 >= 0)>
    %c = arith.select %t, %b, %z : f32
    kernel.yield %c : f32
  } : tensor<?x13xf32, affine_map<()[s0] -> (s0, 13)>>
  return %r : tensor<?x13xf32, affine_map<()[s0] -> (s0, 13)>>
}
