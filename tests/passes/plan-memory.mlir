// Places of results.
// RUN: bigm-opt %s --to-kernels --plan-memory --split-input-file --mlir-print-local-scope | FileCheck %s

// Three exps in a row: the third takes the place of the first; the last goes to the caller.
// CHECK-LABEL: func.func @chain
// CHECK-SAME: kernel.arena = {{\[}}[128, array<i64: 0>]], kernel.buffers = array<i64: 1>, kernel.live_bound = {{\[}}[128, array<i64: 0>]]
// CHECK: places = [affine_map<()[s0] -> (0)>]
// CHECK: places = [affine_map<()[s0] -> (s0 * 64)>]
// CHECK: places = [affine_map<()[s0] -> (0)>]
// CHECK: places = [1]
func.func @chain(%x: tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>)
    -> tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>> attributes {bigm.symbols = ["N"]} {
  %a = bigm.exp %x : tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>
  %b = bigm.exp %a : tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>
  %c = bigm.exp %b : tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>
  %d = bigm.exp %c : tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>
  return %d : tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>
}

// -----
// A persistent tensor is updated in place when the old value is read at the point that is written.
// CHECK-LABEL: func.func @in_place
// CHECK: places = [0]
// CHECK-NOT: kernel.nest
func.func @in_place(%w: tensor<7xf32> {bigm.tensor = 3 : i64}) -> (tensor<7xf32> {bigm.updates = 3 : i64}) {
  %r = bigm.neg %w : tensor<7xf32>
  return %r : tensor<7xf32>
}

// -----
// Not when other points still need it: the new value is copied at the end.
// CHECK-LABEL: func.func @reversed
// CHECK: places = [affine_map<() -> (0)>]
// CHECK: kernel.nest
// CHECK-SAME: places = [0]
func.func @reversed(%w: tensor<7xf32> {bigm.tensor = 3 : i64}) -> (tensor<7xf32> {bigm.updates = 3 : i64}) {
  %r = bigm.view %w, affine_map<(i) -> (6 - i)> : tensor<7xf32> -> tensor<7xf32>
  return %r : tensor<7xf32>
}

// -----
// A buffer of a known size goes where a gap of those that grow with N is as large for N = 1: behind the first chain, whose widest
// step is over.
// CHECK-LABEL: func.func @gaps_are_filled
// CHECK-SAME: kernel.arena = {{\[}}[0, array<i64>], [128, array<i64: 0>]]
// CHECK-SAME: kernel.live_bound = {{\[}}[64, array<i64>], [128, array<i64: 0>]]
func.func @gaps_are_filled(%x: tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>, %w: tensor<16xf32>)
    -> (tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>, tensor<16xf32>) attributes {bigm.symbols = ["N"]} {
  %a = bigm.exp %x : tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>
  %b = bigm.exp %a : tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>
  %c = bigm.exp %b : tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>
  %u = bigm.exp %w : tensor<16xf32>
  %v = bigm.exp %u : tensor<16xf32>
  return %c, %v : tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>, tensor<16xf32>
}

// -----
// Where it is known that N mostly is 8, a gap of 128 bytes an input holds 1000: the arena is for 8 inputs or more.
// CHECK-LABEL: func.func @gaps_at_usual_sizes
// CHECK-SAME: kernel.arena = {{\[}}[0, array<i64>], [128, array<i64: 0>]]
// CHECK-SAME: kernel.least_sizes = array<i64: 8>
func.func @gaps_at_usual_sizes(%x: tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>, %w: tensor<250xf32>)
    -> (tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>, tensor<250xf32>) attributes {bigm.symbols = ["N"], bigm.usual_sizes = array<i64: 8>} {
  %a = bigm.exp %x : tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>
  %b = bigm.exp %a : tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>
  %c = bigm.exp %b : tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>
  %u = bigm.exp %w : tensor<250xf32>
  %v = bigm.exp %u : tensor<250xf32>
  return %c, %v : tensor<?x16xf32, affine_map<()[s0] -> (s0, 16)>>, tensor<250xf32>
}
