// A gradient that autodiff has not expanded has no kernel.
// RUN: bigm-opt %s --to-kernels --verify-diagnostics

func.func @unexpanded(%x: tensor<5xf32>, %y: tensor<f32>) -> tensor<5xf32> {
  // expected-error@+1 {{`bigm.gradient` has no kernel}}
  %g = bigm.gradient %y wrt %x : (tensor<f32>, tensor<5xf32>) -> tensor<5xf32>
  return %g : tensor<5xf32>
}
