// RUN: bigm-opt %s --autodiff --split-input-file --verify-diagnostics

func.func @no_gradient(%m: tensor<1x3x8x9xf32>) -> tensor<1x3x8x9xf32> {
  // expected-error@+1 {{has no gradient}}
  %r = bigm.resize %m, "bilinear" antialias true : tensor<1x3x8x9xf32> -> tensor<1x3x4x4xf32>
  %l = bigm.reduce_sum %r, [0, 1, 2, 3] : tensor<1x3x4x4xf32> -> tensor<f32>
  %g = bigm.gradient %l wrt %m : (tensor<f32>, tensor<1x3x8x9xf32>) -> tensor<1x3x8x9xf32>
  return %g : tensor<1x3x8x9xf32>
}

// -----
#n = affine_map<()[n] -> (n)>
#n3 = affine_map<()[n] -> (n + 3)>
func.func @symbolic_offset(%x: tensor<?xf32, #n>, %y: tensor<3xf32>) -> tensor<3xf32> attributes {bigm.symbols = ["N"]} {
  // expected-error@+1 {{has no gradient for input 1: the inputs before it have a symbolic size along dimension 0}}
  %c = bigm.concat 0, %x, %y : (tensor<?xf32, #n>, tensor<3xf32>) -> tensor<?xf32, #n3>
  %l = bigm.reduce_sum %c, [0] : tensor<?xf32, #n3> -> tensor<f32>
  %g = bigm.gradient %l wrt %y : (tensor<f32>, tensor<3xf32>) -> tensor<3xf32>
  return %g : tensor<3xf32>
}
