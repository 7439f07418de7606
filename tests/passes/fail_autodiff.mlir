// RUN: bigm-opt %s --autodiff --split-input-file --verify-diagnostics

#n = affine_map<()[n] -> (n)>
#n3 = affine_map<()[n] -> (n + 3)>
func.func @symbolic_offset(%x: tensor<?xf32, #n>, %y: tensor<3xf32>) -> tensor<3xf32> attributes {bigm.symbols = ["N"]} {
  // expected-error@+1 {{has no gradient for input 1: the inputs before it have a symbolic size along dimension 0}}
  %c = bigm.concat 0, %x, %y : (tensor<?xf32, #n>, tensor<3xf32>) -> tensor<?xf32, #n3>
  %l = bigm.reduce_sum %c, [0] : tensor<?xf32, #n3> -> tensor<f32>
  %g = bigm.gradient %l wrt %y : (tensor<f32>, tensor<3xf32>) -> tensor<3xf32>
  return %g : tensor<3xf32>
}
