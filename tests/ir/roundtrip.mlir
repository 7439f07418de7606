// Every op prints as it parses.
// RUN: bigm-opt %s | bigm-opt | FileCheck %s
// RUN: bigm-opt --mlir-print-op-generic %s | bigm-opt | FileCheck %s

#N4 = affine_map<()[n] -> (n, 4)>
#N = affine_map<()[n] -> (n)>

// CHECK-LABEL: func.func @leaves
// CHECK-SAME: bigm.role = "seed"
// CHECK-SAME: bigm.symbols = ["N"]
func.func @leaves(%seed: tensor<i64> {bigm.name = "seed", bigm.role = "seed"})
    -> (tensor<?x4xf32, #N4> {bigm.name = "x", bigm.updates = 3 : i64}) attributes {bigm.symbols = ["N"]} {
  // CHECK: bigm.constant 1.000000e+00 : f32 -> tensor<?x4xf32, #[[N4:.*]]>
  %one = bigm.constant 1.0 : f32 -> tensor<?x4xf32, #N4>
  // CHECK: bigm.constant true -> tensor<2xi1>
  %yes = bigm.constant true -> tensor<2xi1>
  // CHECK: bigm.size #{{.*}} -> tensor<f32>
  %count = bigm.size affine_map<()[n] -> (n * 4)> -> tensor<f32>
  // CHECK: bigm.iota 1 -> tensor<?x4xi32, #[[N4]]>
  %i = bigm.iota 1 -> tensor<?x4xi32, #N4>
  // CHECK: bigm.random %{{.*}}, 2 : tensor<i64> -> tensor<?x4xf32, #[[N4]]>
  %r = bigm.random %seed, 2 : tensor<i64> -> tensor<?x4xf32, #N4>
  return %r : tensor<?x4xf32, #N4>
}

// CHECK-LABEL: func.func @pointwise
func.func @pointwise(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>, %p: tensor<2x3xi1>) {
  // CHECK: bigm.neg %{{.*}} : tensor<2x3xf32>
  %0 = bigm.neg %x : tensor<2x3xf32>
  // CHECK: bigm.abs
  %1 = bigm.abs %x : tensor<2x3xf32>
  // CHECK: bigm.sign
  %2 = bigm.sign %x : tensor<2x3xf32>
  // CHECK: bigm.exp
  %3 = bigm.exp %x : tensor<2x3xf32>
  // CHECK: bigm.log
  %4 = bigm.log %x : tensor<2x3xf32>
  // CHECK: bigm.log1p
  %5 = bigm.log1p %x : tensor<2x3xf32>
  // CHECK: bigm.expm1
  %6 = bigm.expm1 %x : tensor<2x3xf32>
  // CHECK: bigm.sqrt
  %7 = bigm.sqrt %x : tensor<2x3xf32>
  // CHECK: bigm.rsqrt
  %8 = bigm.rsqrt %x : tensor<2x3xf32>
  // CHECK: bigm.sin
  %9 = bigm.sin %x : tensor<2x3xf32>
  // CHECK: bigm.cos
  %10 = bigm.cos %x : tensor<2x3xf32>
  // CHECK: bigm.tanh
  %11 = bigm.tanh %x : tensor<2x3xf32>
  // CHECK: bigm.atan
  %atan = bigm.atan %x : tensor<2x3xf32>
  // CHECK: bigm.erf
  %12 = bigm.erf %x : tensor<2x3xf32>
  // CHECK: bigm.sigmoid
  %13 = bigm.sigmoid %x : tensor<2x3xf32>
  // CHECK: bigm.floor
  %14 = bigm.floor %x : tensor<2x3xf32>
  // CHECK: bigm.ceil
  %15 = bigm.ceil %x : tensor<2x3xf32>
  // CHECK: bigm.round
  %16 = bigm.round %x : tensor<2x3xf32>
  // CHECK: bigm.not %{{.*}} : tensor<2x3xi1>
  %17 = bigm.not %p : tensor<2x3xi1>
  // CHECK: bigm.cast %{{.*}} : tensor<2x3xf32> -> tensor<2x3xui8>
  %18 = bigm.cast %x : tensor<2x3xf32> -> tensor<2x3xui8>
  // CHECK: bigm.add %{{.*}}, %{{.*}} : tensor<2x3xf32>
  %19 = bigm.add %x, %y : tensor<2x3xf32>
  // CHECK: bigm.sub
  %20 = bigm.sub %x, %y : tensor<2x3xf32>
  // CHECK: bigm.mul
  %21 = bigm.mul %x, %y : tensor<2x3xf32>
  // CHECK: bigm.div
  %22 = bigm.div %x, %y : tensor<2x3xf32>
  // CHECK: bigm.pow
  %23 = bigm.pow %x, %y : tensor<2x3xf32>
  // CHECK: bigm.max
  %24 = bigm.max %x, %y : tensor<2x3xf32>
  // CHECK: bigm.min
  %25 = bigm.min %x, %y : tensor<2x3xf32>
  // CHECK: bigm.mod
  %26 = bigm.mod %x, %y : tensor<2x3xf32>
  // CHECK: bigm.and
  %27 = bigm.and %p, %p : tensor<2x3xi1>
  // CHECK: bigm.or
  %28 = bigm.or %p, %p : tensor<2x3xi1>
  // CHECK: bigm.eq %{{.*}}, %{{.*}} : tensor<2x3xf32>
  %29 = bigm.eq %x, %y : tensor<2x3xf32>
  // CHECK: bigm.ne
  %30 = bigm.ne %x, %y : tensor<2x3xf32>
  // CHECK: bigm.lt
  %31 = bigm.lt %x, %y : tensor<2x3xf32>
  // CHECK: bigm.le
  %32 = bigm.le %x, %y : tensor<2x3xf32>
  // CHECK: bigm.gt
  %33 = bigm.gt %x, %y : tensor<2x3xf32>
  // CHECK: bigm.ge
  %34 = bigm.ge %x, %y : tensor<2x3xf32>
  // CHECK: bigm.select %{{.*}}, %{{.*}}, %{{.*}} : tensor<2x3xf32>
  %35 = bigm.select %p, %x, %y : tensor<2x3xf32>
  return
}

// CHECK-LABEL: func.func @shape
func.func @shape(%x: tensor<2x3xf32>, %v: tensor<f32>, %n: tensor<?x4xf32, #N4>) attributes {bigm.symbols = ["N"]} {
  // CHECK: bigm.reshape %{{.*}} : tensor<?x4xf32, #[[N4]]> -> tensor<?xf32, #{{.*}}>
  %0 = bigm.reshape %n : tensor<?x4xf32, #N4> -> tensor<?xf32, affine_map<()[n] -> (n * 4)>>
  // CHECK: bigm.view %{{.*}}, #{{.*}} : tensor<2x3xf32> -> tensor<3x2xf32>
  %1 = bigm.view %x, affine_map<(a, b) -> (b, a)> : tensor<2x3xf32> -> tensor<3x2xf32>
  // CHECK: bigm.fold %{{.*}}, #{{.*}} : tensor<2x3xf32> -> tensor<4xf32>
  %2 = bigm.fold %x, affine_map<(a, b) -> (a + b)> : tensor<2x3xf32> -> tensor<4xf32>
  // CHECK: bigm.pad %{{.*}}, %{{.*}} low [0, 1] high [0, -1] interior [1, 0]
  // CHECK-SAME: (tensor<2x3xf32>, tensor<f32>) -> tensor<3x3xf32>
  %3 = bigm.pad %x, %v low [0, 1] high [0, -1] interior [1, 0] : (tensor<2x3xf32>, tensor<f32>) -> tensor<3x3xf32>
  // CHECK: bigm.concat 0, %{{.*}}, %{{.*}} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<4x3xf32>
  %4 = bigm.concat 0, %x, %x : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<4x3xf32>
  // CHECK: bigm.stop_gradient %{{.*}} : tensor<2x3xf32>
  %5 = bigm.stop_gradient %x : tensor<2x3xf32>
  return
}

// CHECK-LABEL: func.func @reductions
func.func @reductions(%x: tensor<?x4xf32, #N4>, %w: tensor<4x5xf32>) attributes {bigm.symbols = ["N"]} {
  // CHECK: bigm.reduce_sum %{{.*}}, [1] : tensor<?x4xf32, #[[N4]]> -> tensor<?xf32, #{{.*}}>
  %0 = bigm.reduce_sum %x, [1] : tensor<?x4xf32, #N4> -> tensor<?xf32, #N>
  // CHECK: bigm.reduce_max %{{.*}}, [0]
  %1 = bigm.reduce_max %x, [0] : tensor<?x4xf32, #N4> -> tensor<4xf32>
  // CHECK: bigm.reduce_min %{{.*}}, [0, 1]
  %2 = bigm.reduce_min %x, [0, 1] : tensor<?x4xf32, #N4> -> tensor<f32>
  // CHECK: bigm.reduce_prod
  %3 = bigm.reduce_prod %x, [0] : tensor<?x4xf32, #N4> -> tensor<4xf32>
  // CHECK: bigm.arg_max %{{.*}}, 1 : tensor<?x4xf32, #[[N4]]> -> tensor<?xi32, #{{.*}}>
  %4 = bigm.arg_max %x, 1 : tensor<?x4xf32, #N4> -> tensor<?xi32, #N>
  // CHECK: bigm.arg_min
  %5 = bigm.arg_min %x, 0 : tensor<?x4xf32, #N4> -> tensor<4xi32>
  // CHECK: bigm.contract %{{.*}}, %{{.*}} lhs #{{.*}} rhs #{{.*}} reduced #{{.*}} : (tensor<?x4xf32, #[[N4]]>, tensor<4x5xf32>) -> tensor<?x5xf32, #{{.*}}>
  %6 = bigm.contract %x, %w lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (4)>
       : (tensor<?x4xf32, #N4>, tensor<4x5xf32>) -> tensor<?x5xf32, affine_map<()[n] -> (n, 5)>>
  return
}

// CHECK-LABEL: func.func @irregular
func.func @irregular(%t: tensor<5x2xf32>, %i: tensor<3xi32>, %u: tensor<3x2xf32>, %m: tensor<1x3x8x9xf32>,
                     %a: tensor<1x2x3xf32>, %y: tensor<f32>) {
  // CHECK: bigm.gather %{{.*}}, %{{.*}} : (tensor<5x2xf32>, tensor<3xi32>) -> tensor<3x2xf32>
  %0 = bigm.gather %t, %i : (tensor<5x2xf32>, tensor<3xi32>) -> tensor<3x2xf32>
  // CHECK: bigm.scatter_add %{{.*}}, %{{.*}} : (tensor<3x2xf32>, tensor<3xi32>) -> tensor<5x2xf32>
  %1 = bigm.scatter_add %u, %i : (tensor<3x2xf32>, tensor<3xi32>) -> tensor<5x2xf32>
  // CHECK: bigm.warp %{{.*}}, %{{.*}} fill 5.000000e-01
  %2 = bigm.warp %m, %a fill 0.5 : (tensor<1x3x8x9xf32>, tensor<1x2x3xf32>) -> tensor<1x3x4x4xf32>
  // CHECK: bigm.resize %{{.*}}, "bilinear" antialias true : tensor<1x3x8x9xf32> -> tensor<1x3x4x4xf32>
  %3 = bigm.resize %m, "bilinear" antialias true : tensor<1x3x8x9xf32> -> tensor<1x3x4x4xf32>
  // CHECK: bigm.gradient %{{.*}} wrt %{{.*}} : (tensor<f32>, tensor<5x2xf32>) -> tensor<5x2xf32>
  %4 = bigm.gradient %y wrt %t : (tensor<f32>, tensor<5x2xf32>) -> tensor<5x2xf32>
  return
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<2x5x3x4xf32>, %k: tensor<2x7x3x4xf32>, %m: tensor<2x7xi1>) {
  // CHECK: bigm.attention %{{.*}}, %{{.*}}, %{{.*}} causal : (tensor<2x5x3x4xf32>, tensor<2x7x3x4xf32>, tensor<2x7x3x4xf32>) -> (tensor<2x5x3x4xf32>, tensor<2x3x5xf32>)
  %y, %s = bigm.attention %q, %k, %k causal
           : (tensor<2x5x3x4xf32>, tensor<2x7x3x4xf32>, tensor<2x7x3x4xf32>) -> (tensor<2x5x3x4xf32>, tensor<2x3x5xf32>)
  // CHECK: bigm.attention_grad %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} mask %{{.*}} :
  %g:3 = bigm.attention_grad %q, %k, %k, %y, %s, %s mask %m
         : (tensor<2x5x3x4xf32>, tensor<2x7x3x4xf32>, tensor<2x7x3x4xf32>, tensor<2x5x3x4xf32>, tensor<2x3x5xf32>,
            tensor<2x3x5xf32>, tensor<2x7xi1>) -> (tensor<2x5x3x4xf32>, tensor<2x7x3x4xf32>, tensor<2x7x3x4xf32>)
  return
}

// CHECK-LABEL: func.func @recurrence
func.func @recurrence(%x: tensor<7x2x4xf32>, %h: tensor<2x4xf32>, %b: tensor<4xf32>) {
  // CHECK: bigm.scan @step from(%{{.*}}) over(%{{.*}}) with(%{{.*}}) steps #{{.*}} reverse : (tensor<2x4xf32>, tensor<7x2x4xf32>, tensor<4xf32>) -> (tensor<2x4xf32>, tensor<7x2x4xf32>)
  %last, %all = bigm.scan @step from(%h) over(%x) with(%b) steps affine_map<() -> (7)> reverse
                : (tensor<2x4xf32>, tensor<7x2x4xf32>, tensor<4xf32>) -> (tensor<2x4xf32>, tensor<7x2x4xf32>)
  return
}
func.func private @step(%h: tensor<2x4xf32>, %x: tensor<2x4xf32>, %b: tensor<4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>) {
  %s = bigm.add %h, %x : tensor<2x4xf32>
  return %s, %x : tensor<2x4xf32>, tensor<2x4xf32>
}
