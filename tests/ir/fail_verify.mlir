// Each op refuses what it cannot mean.
// RUN: bigm-opt %s --split-input-file --verify-diagnostics

// expected-error@+1 {{`bigm.symbols` is a list of names on a function}}
func.func @symbols() attributes {bigm.symbols = "N"} { return }

// -----
func.func @no_encoding(%x: tensor<?xf32>) {
  // expected-error@+1 {{a tensor with dynamic dimensions needs an affine map of its sizes as encoding}}
  %0 = bigm.neg %x : tensor<?xf32>
  return
}

// -----
func.func @static_encoding(%x: tensor<3xf32, affine_map<()[n] -> (3)>>) {
  // expected-error@+1 {{a tensor without dynamic dimensions has no encoding}}
  %0 = bigm.neg %x : tensor<3xf32, affine_map<()[n] -> (3)>>
  return
}

// -----
#odd = affine_map<()[n] -> (n + n)>
func.func @ranks(%x: tensor<?x2xf32, #odd>) {
  // expected-error@+1 {{one size for each dimension of the tensor}}
  %0 = bigm.neg %x : tensor<?x2xf32, #odd>
  return
}

// -----
#two = affine_map<()[n, m] -> (n * (m + 1))>
func.func @normal_form(%x: tensor<?xf32, #two>) attributes {bigm.symbols = ["N", "M"]} {
  // expected-error@+1 {{a size of the encoding is not in normal form}}
  %0 = bigm.neg %x : tensor<?xf32, #two>
  return
}

// -----
#n = affine_map<()[n] -> (n)>
func.func @symbol_count(%x: tensor<?xf32, #n>) attributes {bigm.symbols = ["N", "M"]} {
  // expected-error@+1 {{and the function has 2 symbols}}
  %0 = bigm.neg %x : tensor<?xf32, #n>
  return
}

// -----
func.func @constant() {
  // expected-error@+1 {{has number of type 'i32' and result 'tensor<2xf32>'}}
  %0 = bigm.constant 1 : i32 -> tensor<2xf32>
  return
}

// -----
func.func @size() {
  // expected-error@+1 {{needs one expression over symbols}}
  %0 = bigm.size affine_map<()[n] -> (n, n)> -> tensor<f32>
  return
}

// -----
func.func @iota() {
  // expected-error@+1 {{has dimension 2 of a tensor with 2}}
  %0 = bigm.iota 2 -> tensor<2x3xi32>
  return
}

// -----
func.func @random(%s: tensor<i32>) {
  // expected-error@+1 {{operand #0 must be 0D tensor of 64-bit signless integer values}}
  %0 = bigm.random %s, 1 : tensor<i32> -> tensor<3xf32>
  return
}

// -----
func.func @pointwise_shapes(%x: tensor<2xf32>, %y: tensor<3xf32>) {
  // expected-error@+1 {{failed to verify that all of {x, y, result} have same type}}
  %0 = "bigm.add"(%x, %y) : (tensor<2xf32>, tensor<3xf32>) -> tensor<2xf32>
  return
}

// -----
func.func @compare(%x: tensor<2xf32>) {
  // expected-error@+1 {{result #0 must be tensor of bools of 1-bit signless integer values}}
  %0 = "bigm.lt"(%x, %x) : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----
func.func @logic(%x: tensor<2xf32>) {
  // expected-error@+1 {{operand #0 must be tensor of bools}}
  %0 = bigm.and %x, %x : tensor<2xf32>
  return
}

// -----
func.func @select(%p: tensor<3xi1>, %x: tensor<2xf32>) {
  // expected-error@+1 {{condition is bool of the operands' shape}}
  %0 = "bigm.select"(%p, %x, %x) : (tensor<3xi1>, tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----
func.func @cast(%x: tensor<2xf32>) {
  // expected-error@+1 {{has result 'tensor<3xi32>', and its operands give 'tensor<2xi32>'}}
  %0 = bigm.cast %x : tensor<2xf32> -> tensor<3xi32>
  return
}

// -----
func.func @reshape(%x: tensor<2x3xf32>) {
  // expected-error@+1 {{from 'tensor<2x3xf32>' to 'tensor<5xf32>' changes the number of elements}}
  %0 = bigm.reshape %x : tensor<2x3xf32> -> tensor<5xf32>
  return
}

// -----
func.func @view_range(%x: tensor<6xf32>) {
  // expected-error@+1 {{map leaves dimension 0 of 'tensor<6xf32>'}}
  %0 = bigm.view %x, affine_map<(a, b) -> (a * 2 + b)> : tensor<6xf32> -> tensor<3x3xf32>
  return
}

// -----
#n = affine_map<()[n] -> (n)>
#m = affine_map<()[n] -> (n + 1)>
func.func @view_symbolic_range(%x: tensor<?xf32, #n>) attributes {bigm.symbols = ["N"]} {
  // expected-error@+1 {{map leaves dimension 0}}
  %0 = bigm.view %x, affine_map<(a) -> (a)> : tensor<?xf32, #n> -> tensor<?xf32, #m>
  return
}

// -----
func.func @view_linear(%x: tensor<6xf32>) {
  // expected-error@+1 {{map is not linear in its dimensions}}
  %0 = bigm.view %x, affine_map<(a) -> (a floordiv 2)> : tensor<6xf32> -> tensor<6xf32>
  return
}

// -----
func.func @view_ranks(%x: tensor<6xf32>) {
  // expected-error@+1 {{map goes from 1 dimensions to 1, needed are 2 to 1}}
  %0 = bigm.view %x, affine_map<(a) -> (a)> : tensor<6xf32> -> tensor<6x6xf32>
  return
}

// -----
func.func @fold(%x: tensor<6xf32>) {
  // expected-error@+1 {{map leaves dimension 0 of 'tensor<5xf32>'}}
  %0 = bigm.fold %x, affine_map<(a) -> (a)> : tensor<6xf32> -> tensor<5xf32>
  return
}

// -----
func.func @pad(%x: tensor<6xf32>, %v: tensor<f32>) {
  // expected-error@+1 {{has result 'tensor<9xf32>', and its operands give 'tensor<8xf32>'}}
  %0 = bigm.pad %x, %v low [1] high [1] interior [0] : (tensor<6xf32>, tensor<f32>) -> tensor<9xf32>
  return
}

// -----
func.func @pad_value(%x: tensor<6xf32>, %v: tensor<1xf32>) {
  // expected-error@+1 {{needed is a scalar of its element type}}
  %0 = bigm.pad %x, %v low [1] high [1] interior [0] : (tensor<6xf32>, tensor<1xf32>) -> tensor<8xf32>
  return
}

// -----
func.func @concat(%x: tensor<2x3xf32>, %y: tensor<2x4xf32>) {
  // expected-error@+1 {{that differ beside dimension 0}}
  %0 = bigm.concat 0, %x, %y : (tensor<2x3xf32>, tensor<2x4xf32>) -> tensor<4x3xf32>
  return
}

// -----
func.func @reduce_order(%x: tensor<2x3xf32>) {
  // expected-error@+1 {{lists its dimensions in ascending order}}
  %0 = bigm.reduce_sum %x, [1, 0] : tensor<2x3xf32> -> tensor<f32>
  return
}

// -----
func.func @reduce_result(%x: tensor<2x3xf32>) {
  // expected-error@+1 {{has result 'tensor<2xf32>', and its operands give 'tensor<3xf32>'}}
  %0 = bigm.reduce_max %x, [0] : tensor<2x3xf32> -> tensor<2xf32>
  return
}

// -----
func.func @arg(%x: tensor<2x3xf32>) {
  // expected-error@+1 {{has result 'tensor<3xi32>', and its operands give 'tensor<2xi32>'}}
  %0 = bigm.arg_max %x, 1 : tensor<2x3xf32> -> tensor<3xi32>
  return
}

// -----
func.func @contract(%x: tensor<2x3xf32>, %y: tensor<4x5xf32>) {
  // expected-error@+1 {{lhs map leaves dimension 1 of 'tensor<2x3xf32>'}}
  %0 = bigm.contract %x, %y lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (4)> : (tensor<2x3xf32>, tensor<4x5xf32>) -> tensor<2x5xf32>
  return
}

// -----
func.func @contract_elements(%x: tensor<2x3xf32>, %y: tensor<3x5xf64>) {
  // expected-error@+1 {{has one element type}}
  %0 = bigm.contract %x, %y lhs affine_map<(i, j, k) -> (i, k)> rhs affine_map<(i, j, k) -> (k, j)>
       reduced affine_map<() -> (3)> : (tensor<2x3xf32>, tensor<3x5xf64>) -> tensor<2x5xf32>
  return
}

// -----
func.func @gather(%t: tensor<5x2xf32>, %i: tensor<3xi32>) {
  // expected-error@+1 {{has rows 'tensor<3x3xf32>', and table and ids make them 'tensor<3x2xf32>'}}
  %0 = bigm.gather %t, %i : (tensor<5x2xf32>, tensor<3xi32>) -> tensor<3x3xf32>
  return
}

// -----
func.func @scatter_add(%u: tensor<3x2xf32>, %i: tensor<4xi32>) {
  // expected-error@+1 {{has rows 'tensor<3x2xf32>', and table and ids make them 'tensor<4x2xf32>'}}
  %0 = bigm.scatter_add %u, %i : (tensor<3x2xf32>, tensor<4xi32>) -> tensor<5x2xf32>
  return
}

// -----
func.func @warp(%m: tensor<2x3x8x9xf32>, %a: tensor<1x2x3xf32>) {
  // expected-error@+1 {{has matrix 'tensor<1x2x3xf32>', needed is 'tensor<2x2x3xf32>'}}
  %0 = bigm.warp %m, %a fill 0.0 : (tensor<2x3x8x9xf32>, tensor<1x2x3xf32>) -> tensor<2x3x4x4xf32>
  return
}

// -----
func.func @resize(%m: tensor<1x3x8x9xf32>) {
  // expected-error@+1 {{has mode 'sharp', known are nearest, bilinear, bicubic and area}}
  %0 = bigm.resize %m, "sharp" antialias false : tensor<1x3x8x9xf32> -> tensor<1x3x4x4xf32>
  return
}

// -----
func.func @gradient(%y: tensor<2xf32>, %x: tensor<3xf32>) {
  // expected-error@+1 {{is of a scalar, not of 'tensor<2xf32>'}}
  %0 = bigm.gradient %y wrt %x : (tensor<2xf32>, tensor<3xf32>) -> tensor<3xf32>
  return
}

// -----
func.func @gradient_types(%y: tensor<f32>, %x: tensor<3xf32>) {
  // expected-error@+1 {{failed to verify that all of {wrt, results} have same type}}
  %0 = bigm.gradient %y wrt %x : (tensor<f32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----
func.func @stop_gradient(%x: tensor<3xf32>) {
  // expected-error@+1 {{failed to verify that all of {x, result} have same type}}
  %0 = "bigm.stop_gradient"(%x) : (tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----
func.func @attention_keys(%q: tensor<2x5x3x4xf32>, %k: tensor<2x7x3x4xf32>, %v: tensor<2x7x3x5xf32>) {
  // expected-error@+1 {{has keys or values 'tensor<2x7x3x5xf32>', and queries and keys make them 'tensor<2x7x3x4xf32>'}}
  %y, %s = bigm.attention %q, %k, %v
           : (tensor<2x5x3x4xf32>, tensor<2x7x3x4xf32>, tensor<2x7x3x5xf32>) -> (tensor<2x5x3x4xf32>, tensor<2x3x5xf32>)
  return
}

// -----
func.func @attention_mask(%q: tensor<2x5x3x4xf32>, %k: tensor<2x7x3x4xf32>, %m: tensor<2x5xi1>) {
  // expected-error@+1 {{has mask 'tensor<2x5xi1>', needed is 'tensor<2x7xi1>'}}
  %y, %s = bigm.attention %q, %k, %k mask %m
           : (tensor<2x5x3x4xf32>, tensor<2x7x3x4xf32>, tensor<2x7x3x4xf32>, tensor<2x5xi1>) -> (tensor<2x5x3x4xf32>, tensor<2x3x5xf32>)
  return
}

// -----
func.func @cached_heads(%q: tensor<2x1x3x4xf32>, %k: tensor<2x1x2x4xf32>, %c: tensor<5x9x2x4xf32>, %n: tensor<2xi32>) {
  // expected-error@+1 {{needs known heads, those of keys dividing those of queries, not 'tensor<2x1x3x4xf32>' and 'tensor<2x1x2x4xf32>'}}
  %y = bigm.cached_attention %q, %k, %k over %c, %c at %n, %n
       : (tensor<2x1x3x4xf32>, tensor<2x1x2x4xf32>, tensor<2x1x2x4xf32>, tensor<5x9x2x4xf32>, tensor<5x9x2x4xf32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x1x3x4xf32>
  return
}

// -----
func.func @cached_rows(%q: tensor<2x1x4x4xf32>, %k: tensor<2x1x2x4xf32>, %c: tensor<5x9x2x3xf32>, %n: tensor<2xi32>) {
  // expected-error@+1 {{has kept keys or values 'tensor<5x9x2x3xf32>', needed is 'tensor<5x9x2x4xf32>'}}
  %y = bigm.cached_attention %q, %k, %k over %c, %c at %n, %n
       : (tensor<2x1x4x4xf32>, tensor<2x1x2x4xf32>, tensor<2x1x2x4xf32>, tensor<5x9x2x3xf32>, tensor<5x9x2x3xf32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x1x4x4xf32>
  return
}

// -----
func.func @attention_statistic(%q: tensor<2x5x3x4xf32>) {
  // expected-error@+1 {{has statistic 'tensor<2x5x3xf32>', needed is 'tensor<2x3x5xf32>'}}
  %y, %s = bigm.attention %q, %q, %q
           : (tensor<2x5x3x4xf32>, tensor<2x5x3x4xf32>, tensor<2x5x3x4xf32>) -> (tensor<2x5x3x4xf32>, tensor<2x5x3xf32>)
  return
}

// -----
func.func @scan_without_step(%x: tensor<7x4xf32>, %h: tensor<4xf32>) {
  // expected-error@+1 {{has no function @step for its steps}}
  %r = bigm.scan @step from(%h) over(%x) with() steps affine_map<() -> (7)> : (tensor<4xf32>, tensor<7x4xf32>) -> tensor<4xf32>
  return
}

// -----
func.func private @step(%h: tensor<4xf32>, %x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }
func.func @scan_steps(%x: tensor<7x4xf32>, %h: tensor<4xf32>) {
  // expected-error@+1 {{steps through 'tensor<7x4xf32>', whose first dimension is not the number of steps}}
  %r = bigm.scan @step from(%h) over(%x) with() steps affine_map<() -> (6)> : (tensor<4xf32>, tensor<7x4xf32>) -> tensor<4xf32>
  return
}

// -----
func.func private @step(%h: tensor<4xf32>, %x: tensor<4xf32>) -> tensor<4xf32> { return %x : tensor<4xf32> }
func.func @scan_type(%x: tensor<7x5xf32>, %h: tensor<4xf32>) {
  // expected-error@+1 {{needs steps of type}}
  %r = bigm.scan @step from(%h) over(%x) with() steps affine_map<() -> (7)> : (tensor<4xf32>, tensor<7x5xf32>) -> tensor<4xf32>
  return
}
