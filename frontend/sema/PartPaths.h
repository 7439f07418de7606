// Parts of a model as `freeze`, `learn` and `keep` name them.
#pragma once
#include <set>
#include <string>

namespace bigm::ast {
struct Expr;
}

namespace bigm::sema {

/// A name and what it stands in: `net`, `net.body`, `net.body.0` of `net.body.0.weight`, as an ONNX file names a tensor.
void addPath(const std::string &name, std::set<std::string> &out);

/// What there is instead of a part that is not: a name like it, or the parts of what holds it.
std::string partsHint(const std::string &path, const std::set<std::string> &known);

/// `stem.conv2d`, or in quotes what is no name: `"net.body.0"`. Relative to `root`; `path` is the expression's where it is a path.
std::string partPath(const ast::Expr &e, std::string path, const std::string &root);

} // namespace bigm::sema
