// Attention that is written out becomes one op: with exporters' orders of dimensions, masks and guards. What is added to scores is as
// small as what it varies along; what hides by causality or by keys has the op's own form.
// RUN: bigm-opt --fuse-attention --canonicalize --cse %s | FileCheck %s

#scores = affine_map<()[s0, s1] -> (s0, 2, s1, s1)>
#rows = affine_map<()[s0, s1] -> (s0, 2, s1)>
#heads = affine_map<()[s0, s1] -> (s0, s1, 2, 4)>
#keys = affine_map<()[s0, s1] -> (s0, s1)>
#spread = affine_map<(n, h, i, j) -> (n, h, i)>
#q = affine_map<(n, h, i, j, d) -> (n, i, h, d)>
#k = affine_map<(n, h, i, j, d) -> (n, j, h, d)>
#w = affine_map<(n, i, h, d, j) -> (n, h, i, j)>
#v = affine_map<(n, i, h, d, j) -> (n, j, h, d)>
#inner = affine_map<() -> (4)>
#length = affine_map<()[s0, s1] -> (s1)>
#heads3 = affine_map<()[s0, s1, s2] -> (s0, s1, 2, 4)>
#rows3 = affine_map<()[s0, s1, s2] -> (s0, 2, s1)>
#kept = affine_map<()[s0, s1, s2] -> (s0, s2, 2, 4)>
#over = affine_map<()[s0, s1, s2] -> (s0, 2, s1, s2)>
#inner3 = affine_map<()[s0, s1, s2] -> (4)>
#past = affine_map<()[s0, s1, s2] -> (s2)>

// Causality by -inf, padding by -inf, NaN made 0.
// CHECK-LABEL: func @decoder
// CHECK: bigm.attention %arg0, %arg1, %arg2 mask %arg3 causal strict scale 5.000000e-01
// CHECK: bigm.select
func.func @decoder(%q: tensor<?x?x2x4xf32, #heads>, %k: tensor<?x?x2x4xf32, #heads>, %v: tensor<?x?x2x4xf32, #heads>,
                   %m: tensor<?x?xi1, #keys>) -> tensor<?x?x2x4xf32, #heads> attributes {bigm.symbols = ["N", "T"]} {
  %c = bigm.constant 5.000000e-01 : f32 -> tensor<?x2x?x?xf32, #scores>
  %zero = bigm.constant 0.0 : f32 -> tensor<?x2x?x?xf32, #scores>
  %low = bigm.constant 0xFF800000 : f32 -> tensor<?x2x?x?xf32, #scores>
  %p = bigm.contract %q, %k lhs #q rhs #k reduced #inner : (tensor<?x?x2x4xf32, #heads>, tensor<?x?x2x4xf32, #heads>) -> tensor<?x2x?x?xf32, #scores>
  %ps = bigm.mul %p, %c : tensor<?x2x?x?xf32, #scores>
  %i = bigm.iota 2 -> tensor<?x2x?x?xi64, #scores>
  %j = bigm.iota 3 -> tensor<?x2x?x?xi64, #scores>
  %le = bigm.le %j, %i : tensor<?x2x?x?xi64, #scores>
  %mm = bigm.view %m, affine_map<(n, h, i, j) -> (n, j)> : tensor<?x?xi1, #keys> -> tensor<?x2x?x?xi1, #scores>
  %seen = bigm.and %le, %mm : tensor<?x2x?x?xi1, #scores>
  %bias = bigm.select %seen, %zero, %low : tensor<?x2x?x?xf32, #scores>
  %s = bigm.add %ps, %bias : tensor<?x2x?x?xf32, #scores>
  %top = bigm.reduce_max %s, [3] : tensor<?x2x?x?xf32, #scores> -> tensor<?x2x?xf32, #rows>
  %tops = bigm.view %top, #spread : tensor<?x2x?xf32, #rows> -> tensor<?x2x?x?xf32, #scores>
  %d = bigm.sub %s, %tops : tensor<?x2x?x?xf32, #scores>
  %e = bigm.exp %d : tensor<?x2x?x?xf32, #scores>
  %sum = bigm.reduce_sum %e, [3] : tensor<?x2x?x?xf32, #scores> -> tensor<?x2x?xf32, #rows>
  %sums = bigm.view %sum, #spread : tensor<?x2x?xf32, #rows> -> tensor<?x2x?x?xf32, #scores>
  %w = bigm.div %e, %sums : tensor<?x2x?x?xf32, #scores>
  %nan = bigm.ne %w, %w : tensor<?x2x?x?xf32, #scores>
  %g = bigm.select %nan, %zero, %w : tensor<?x2x?x?xf32, #scores>
  %y = bigm.contract %g, %v lhs #w rhs #v reduced #length : (tensor<?x2x?x?xf32, #scores>, tensor<?x?x2x4xf32, #heads>) -> tensor<?x?x2x4xf32, #heads>
  return %y : tensor<?x?x2x4xf32, #heads>
}

// A bias of heads and places, without a scale; keys are hidden by the lowest number.
// CHECK-LABEL: func @biased
// CHECK: %[[B:.*]] = bigm.view %arg4, {{.*}} -> tensor<1x2x?x?xf32
// CHECK: bigm.attention %arg0, %arg1, %arg2 mask %arg3 bias %[[B]] scale 1.000000e+00
// CHECK-NEXT: return
func.func @biased(%q: tensor<?x?x2x4xf32, #heads>, %k: tensor<?x?x2x4xf32, #heads>, %v: tensor<?x?x2x4xf32, #heads>,
                  %m: tensor<?x?xi1, #keys>, %b: tensor<2x?x?xf32, affine_map<()[s0, s1] -> (2, s1, s1)>>)
    -> tensor<?x?x2x4xf32, #heads> attributes {bigm.symbols = ["N", "T"]} {
  %low = bigm.constant -3.40282347E+38 : f32 -> tensor<?x2x?x?xf32, #scores>
  %p = bigm.contract %q, %k lhs #q rhs #k reduced #inner : (tensor<?x?x2x4xf32, #heads>, tensor<?x?x2x4xf32, #heads>) -> tensor<?x2x?x?xf32, #scores>
  %mm = bigm.view %m, affine_map<(n, h, i, j) -> (n, j)> : tensor<?x?xi1, #keys> -> tensor<?x2x?x?xi1, #scores>
  %ps = bigm.select %mm, %p, %low : tensor<?x2x?x?xf32, #scores>
  %bias = bigm.view %b, affine_map<(n, h, i, j) -> (h, i, j)> : tensor<2x?x?xf32, affine_map<()[s0, s1] -> (2, s1, s1)>> -> tensor<?x2x?x?xf32, #scores>
  %s = bigm.add %ps, %bias : tensor<?x2x?x?xf32, #scores>
  %top = bigm.reduce_max %s, [3] : tensor<?x2x?x?xf32, #scores> -> tensor<?x2x?xf32, #rows>
  %tops = bigm.view %top, #spread : tensor<?x2x?xf32, #rows> -> tensor<?x2x?x?xf32, #scores>
  %d = bigm.sub %s, %tops : tensor<?x2x?x?xf32, #scores>
  %e = bigm.exp %d : tensor<?x2x?x?xf32, #scores>
  %sum = bigm.reduce_sum %e, [3] : tensor<?x2x?x?xf32, #scores> -> tensor<?x2x?xf32, #rows>
  %sums = bigm.view %sum, #spread : tensor<?x2x?xf32, #rows> -> tensor<?x2x?x?xf32, #scores>
  %w = bigm.div %e, %sums : tensor<?x2x?x?xf32, #scores>
  %y = bigm.contract %w, %v lhs #w rhs #v reduced #length : (tensor<?x2x?x?xf32, #scores>, tensor<?x?x2x4xf32, #heads>) -> tensor<?x?x2x4xf32, #heads>
  return %y : tensor<?x?x2x4xf32, #heads>
}

// Not where the weights are read besides.
// CHECK-LABEL: func @weights_read
// CHECK-NOT: bigm.attention
func.func @weights_read(%q: tensor<?x?x2x4xf32, #heads>, %k: tensor<?x?x2x4xf32, #heads>, %v: tensor<?x?x2x4xf32, #heads>)
    -> (tensor<?x?x2x4xf32, #heads>, tensor<?x2x?x?xf32, #scores>) attributes {bigm.symbols = ["N", "T"]} {
  %s = bigm.contract %q, %k lhs #q rhs #k reduced #inner : (tensor<?x?x2x4xf32, #heads>, tensor<?x?x2x4xf32, #heads>) -> tensor<?x2x?x?xf32, #scores>
  %top = bigm.reduce_max %s, [3] : tensor<?x2x?x?xf32, #scores> -> tensor<?x2x?xf32, #rows>
  %tops = bigm.view %top, #spread : tensor<?x2x?xf32, #rows> -> tensor<?x2x?x?xf32, #scores>
  %d = bigm.sub %s, %tops : tensor<?x2x?x?xf32, #scores>
  %e = bigm.exp %d : tensor<?x2x?x?xf32, #scores>
  %sum = bigm.reduce_sum %e, [3] : tensor<?x2x?x?xf32, #scores> -> tensor<?x2x?xf32, #rows>
  %sums = bigm.view %sum, #spread : tensor<?x2x?xf32, #rows> -> tensor<?x2x?x?xf32, #scores>
  %w = bigm.div %e, %sums : tensor<?x2x?x?xf32, #scores>
  %y = bigm.contract %w, %v lhs #w rhs #v reduced #length : (tensor<?x2x?x?xf32, #scores>, tensor<?x?x2x4xf32, #heads>) -> tensor<?x?x2x4xf32, #heads>
  return %y, %w : tensor<?x?x2x4xf32, #heads>, tensor<?x2x?x?xf32, #scores>
}

// Not where an open number of queries has keys of another: one query would be slower.
// CHECK-LABEL: func @step
// CHECK-NOT: bigm.attention
func.func @step(%q: tensor<?x?x2x4xf32, #heads3>, %k: tensor<?x?x2x4xf32, #kept>) -> tensor<?x?x2x4xf32, #heads3> attributes {bigm.symbols = ["N", "T", "S"]} {
  %s = bigm.contract %q, %k lhs #q rhs #k reduced #inner3 : (tensor<?x?x2x4xf32, #heads3>, tensor<?x?x2x4xf32, #kept>) -> tensor<?x2x?x?xf32, #over>
  %top = bigm.reduce_max %s, [3] : tensor<?x2x?x?xf32, #over> -> tensor<?x2x?xf32, #rows3>
  %tops = bigm.view %top, #spread : tensor<?x2x?xf32, #rows3> -> tensor<?x2x?x?xf32, #over>
  %d = bigm.sub %s, %tops : tensor<?x2x?x?xf32, #over>
  %e = bigm.exp %d : tensor<?x2x?x?xf32, #over>
  %sum = bigm.reduce_sum %e, [3] : tensor<?x2x?x?xf32, #over> -> tensor<?x2x?xf32, #rows3>
  %sums = bigm.view %sum, #spread : tensor<?x2x?xf32, #rows3> -> tensor<?x2x?x?xf32, #over>
  %w = bigm.div %e, %sums : tensor<?x2x?x?xf32, #over>
  %y = bigm.contract %w, %k lhs #w rhs #v reduced #past : (tensor<?x2x?x?xf32, #over>, tensor<?x?x2x4xf32, #kept>) -> tensor<?x?x2x4xf32, #heads3>
  return %y : tensor<?x?x2x4xf32, #heads3>
}

// A way that leads to products that cannot be the op's, as a bias stands under a factor, leaves nothing behind: the bias is all of it.
// CHECK-LABEL: func @two_products
// CHECK: %[[P:.*]] = bigm.contract
// CHECK-NEXT: %[[S:.*]] = bigm.add %[[P]], %arg2
// CHECK-NEXT: %[[B:.*]] = bigm.mul %[[S]], %arg3
// CHECK-NEXT: bigm.attention %arg1, %arg0, %arg0 bias %[[B]] scale 1.000000e+00
func.func @two_products(%q: tensor<?x?x2x4xf32, #heads>, %k: tensor<?x?x2x4xf32, #heads>, %b: tensor<?x2x?x?xf32, #scores>,
                        %f: tensor<?x2x?x?xf32, #scores>) -> tensor<?x?x2x4xf32, #heads> attributes {bigm.symbols = ["N", "T"]} {
  %p = bigm.contract %q, %k lhs #q rhs #k reduced #inner : (tensor<?x?x2x4xf32, #heads>, tensor<?x?x2x4xf32, #heads>) -> tensor<?x2x?x?xf32, #scores>
  %pb = bigm.add %p, %b : tensor<?x2x?x?xf32, #scores>
  %pf = bigm.mul %pb, %f : tensor<?x2x?x?xf32, #scores>
  %r = bigm.contract %k, %q lhs #q rhs #k reduced #inner : (tensor<?x?x2x4xf32, #heads>, tensor<?x?x2x4xf32, #heads>) -> tensor<?x2x?x?xf32, #scores>
  %s = bigm.add %pf, %r : tensor<?x2x?x?xf32, #scores>
  %top = bigm.reduce_max %s, [3] : tensor<?x2x?x?xf32, #scores> -> tensor<?x2x?xf32, #rows>
  %tops = bigm.view %top, #spread : tensor<?x2x?xf32, #rows> -> tensor<?x2x?x?xf32, #scores>
  %d = bigm.sub %s, %tops : tensor<?x2x?x?xf32, #scores>
  %e = bigm.exp %d : tensor<?x2x?x?xf32, #scores>
  %sum = bigm.reduce_sum %e, [3] : tensor<?x2x?x?xf32, #scores> -> tensor<?x2x?xf32, #rows>
  %sums = bigm.view %sum, #spread : tensor<?x2x?xf32, #rows> -> tensor<?x2x?x?xf32, #scores>
  %w = bigm.div %e, %sums : tensor<?x2x?x?xf32, #scores>
  %y = bigm.contract %w, %q lhs #w rhs #v reduced #length : (tensor<?x2x?x?xf32, #scores>, tensor<?x?x2x4xf32, #heads>) -> tensor<?x?x2x4xf32, #heads>
  return %y : tensor<?x?x2x4xf32, #heads>
}
