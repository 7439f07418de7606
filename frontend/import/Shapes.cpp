// Operators that move elements, and reductions.
#include "frontend/import/Writer.h"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace bigm::writing {
using sema::onnx_import::elemOf;
using sema::onnx_import::isFloat;

void Body::reshape(const Seen &seen) {
  const auto &from = seen.in[0].shape, &to = seen.out[0].shape;
  if (from == to) {
    Piece same = use(in(seen, 0), Pipe);
    return give(seen, 0, same.text, same.level);
  }
  if (seen.node->op == "Flatten" && integer(seen, "axis", 1) == 1 && from.size() > 2)
    return pipe(seen, "flatten");
  pipe(seen, "reshape(" + listOf(to) + ")");
}

void Body::transpose(const Seen &seen) {
  std::vector<int64_t> order = integers(seen, "perm");
  for (size_t i = seen.in[0].rank(); order.empty() && i-- > 0;)
    for (size_t k = seen.in[0].rank(); k-- > 0;)
      order.push_back(int64_t(k));
  if (auto found = turned.find(f.resolve(in(seen, 0))); found != turned.end() && order == std::vector<int64_t>{1, 0, 2})
    return give(seen, 0, found->second, Atom);
  pipe(seen, "transpose(" + listOf(order) + ")");
}

void Body::concat(const Seen &seen) {
  int64_t axis = integer(seen, "axis", 1);
  std::string parts;
  for (size_t i = 0; i < seen.in.size(); ++i)
    parts += (i ? ", " : "") + use(in(seen, i), Or).text;
  give(seen, 0, fmt::format("concat([{}], axis: {})", parts, axis < 0 ? axis + int64_t(seen.in[0].rank()) : axis), Atom);
}

static std::string picked(const std::vector<std::string> &items) {
  size_t last = items.size();
  while (last > 1 && items[last - 1] == ":")
    --last;
  std::string out = "[";
  for (size_t i = 0; i < last; ++i)
    out += (i ? ", " : "") + items[i];
  return out + "]";
}

void Body::slice(const Seen &seen) {
  auto starts = either(seen, "starts", 1), axes = either(seen, "axes", 3), steps = either(seen, "steps", 4);
  if (!starts)
    throw Unwritable{"starts that are not known"};
  const auto &from = seen.in[0].shape, &to = seen.out[0].shape;
  std::vector<std::string> items(from.size(), ":");
  std::vector<int64_t> turned;
  for (size_t i = 0; i < starts->size(); ++i) {
    int64_t axis = axes ? (*axes)[i] : int64_t(i), step = steps ? (*steps)[i] : 1, start = (*starts)[i];
    axis += axis < 0 ? int64_t(from.size()) : 0;
    size_t d = size_t(axis);
    if (from[d] == to[d] && step == 1)
      continue;
    if (step == -1 && from[d] == to[d]) {
      turned.push_back(axis);
      continue;
    }
    auto size = from[d].constant();
    if (step != 1)
      throw Unwritable{"steps other than 1"};
    if (start < 0 && !size)
      throw Unwritable{"a start from the end of an open size"};
    start = start < 0 ? std::max<int64_t>(0, start + *size) : start;
    std::string last = Dim(start) + to[d] == from[d] ? "" : (Dim(start) + to[d]).str();
    items[d] = (start || last.empty() ? std::to_string(start) : "") + ".." + last;
  }
  std::string text = use(in(seen, 0), Atom).text;
  if (std::any_of(items.begin(), items.end(), [](auto &item) { return item != ":"; }))
    text += picked(items);
  for (int64_t axis : turned)
    text = fmt::format("flip({}, {})", text, axis);
  give(seen, 0, text, Atom);
}

void Body::split(const Seen &seen) {
  int64_t axis = integer(seen, "axis", 0), start = 0;
  axis += axis < 0 ? int64_t(seen.in[0].rank()) : 0;
  std::string whole = simple(seen, in(seen, 0));
  for (size_t i = 0; i < seen.out.size(); ++i) {
    auto size = seen.out[i].shape[size_t(axis)].constant();
    if (!size)
      throw Unwritable{"parts of open sizes"};
    std::vector<std::string> items(seen.in[0].rank(), ":");
    items[size_t(axis)] = fmt::format("{}..{}", start, start + *size);
    give(seen, i, whole + picked(items), Atom);
    start += *size;
  }
}

void Body::gather(const Seen &seen) {
  const Val &data = seen.in[0], &ids = seen.in[1];
  int64_t axis = integer(seen, "axis", 0);
  axis += axis < 0 ? int64_t(data.rank()) : 0;
  if (ids.known && ids.shape.empty()) {
    auto at = (*ids.known)[0].whole.constant();
    if (!at)
      throw Unwritable{"an index that depends on a size"};
    std::vector<std::string> items(data.rank(), ":");
    items[size_t(axis)] = std::to_string(*at);
    return give(seen, 0, use(in(seen, 0), Atom).text + picked(items), Atom);
  }
  if (axis != 0)
    throw Unwritable{"along another dimension than the first"};
  // Exporters write ids of the data as they are; negative ones are the importer's (`from onnx`) to count from the end.
  Piece at = use(in(seen, 1), Or);
  if (isFile(data) && data.rank() == 2 && data.type == onnx::Type::F32) {
    std::string name = instance(seen, in(seen, 0), "embedding",
                                fmt::format("Embedding({}, {})", data.shape[0].str(), data.shape[1].str()),
                                {{"weight", fileWeight(data)}});
    std::string text = at.text.starts_with("i64(iota") ? at.text.substr(4, at.text.size() - 5)
                       : ids.type == onnx::Type::I32   ? at.text
                                                       : "i32(" + at.text + ")";
    return give(seen, 0, fmt::format("{}({})", name, text), Atom);
  }
  give(seen, 0, fmt::format("gather({}, {})", use(in(seen, 0), Or).text, at.text), Atom);
}

void Body::expand(const Seen &seen) {
  if (seen.in[0].shape == seen.out[0].shape) {
    Piece same = use(in(seen, 0), Pipe);
    return give(seen, 0, same.text, same.level);
  }
  if (auto number = splat(seen.in[0]); number && isFloat(seen.in[0].type))
    return give(seen, 0, fmt::format("broadcast({}, {})", number->text, listOf(seen.out[0].shape)), Atom);
  if (splat(seen.in[0])) // a number alone would be f32
    return recorded(seen);
  pipe(seen, "broadcast(" + listOf(seen.out[0].shape) + ")");
}

void Body::pad(const Seen &seen) {
  if (word(seen, "mode", "constant") != "constant")
    throw Unwritable{"the mode `" + word(seen, "mode", "") + "`"};
  auto pads = either(seen, "pads", 1);
  if (!pads || pads->size() != 2 * seen.in[0].rank() || has(seen, 3))
    throw Unwritable{"amounts that are not known"};
  std::vector<int64_t> low(pads->begin(), pads->begin() + int64_t(seen.in[0].rank())),
      high(pads->begin() + int64_t(seen.in[0].rank()), pads->end());
  std::string value;
  if (has(seen, 2) && splat(seen.in[2]))
    value = splat(seen.in[2])->text;
  else if (attribute(seen, "value"))
    value = numberText(real(seen, "value", 0));
  pipe(seen, fmt::format("pad({}{}{})", listOf(low), low == high ? "" : ", " + listOf(high),
                         value.empty() || value == "0" ? "" : ", value: " + value));
}

void Body::range(const Seen &seen) {
  auto number = [&](size_t i) { return seen.in[i].known ? literal(seen.in[i]).text : std::string(); };
  auto elem = elemOf(seen.out[0].type);
  if (number(0) != "0" || number(2) != "1" || !elem || seen.out[0].shape.size() != 1)
    throw Unwritable{"other numbers than 0, 1, 2, ..."};
  give(seen, 0, fmt::format("{}(iota({}))", bigm::name(*elem), seen.out[0].shape[0].str()), Atom);
}

void Body::resize(const Seen &seen) {
  const Val &x = seen.in[0], &y = seen.out[0];
  if (x.rank() != 4 || !(x.shape[0] == y.shape[0]) || !(x.shape[1] == y.shape[1]) || x.type != onnx::Type::F32)
    throw Unwritable{"other dimensions than the last two of four"};
  std::string mode = word(seen, "mode", "nearest"), where = word(seen, "coordinate_transformation_mode", "half_pixel");
  auto h = y.shape[2].constant(), w = y.shape[3].constant(), ih = x.shape[2].constant(), iw = x.shape[3].constant();
  if (!h || !w || !ih || !iw)
    throw Unwritable{"open sizes"};
  bool whole = *h % *ih == 0 && *w % *iw == 0, same = where == "half_pixel" || where == "pytorch_half_pixel";
  std::string is;
  if (mode == "nearest" && whole && (where == "asymmetric" ? word(seen, "nearest_mode", "round_prefer_floor") == "floor" : same))
    is = "nearest";
  else if (mode == "linear" && same && !integer(seen, "antialias", 0))
    is = "bilinear";
  else if (mode == "cubic" && same && std::abs(real(seen, "cubic_coeff_a", -0.75) + 0.75) < 1e-9 &&
           !integer(seen, "exclude_outside", 0) && !integer(seen, "antialias", 0))
    is = "bicubic";
  if (is.empty())
    throw Unwritable{"the mode `" + mode + "` with `" + where + "` at these sizes"};
  pipe(seen, fmt::format("resample({}, {}, \"{}\", false)", *h, *w, is));
}

// ---------------------------------------------------------------- reductions

void Body::reduction(const Seen &seen) {
  const std::string &op = seen.node->op;
  auto axes = either(seen, "axes", 1);
  int64_t rank = int64_t(seen.in[0].rank());
  if ((!axes || axes->empty()) && integer(seen, "noop_with_empty_axes", 0)) {
    Piece same = use(in(seen, 0), Pipe);
    return give(seen, 0, same.text, same.level);
  }
  std::vector<int64_t> list = axes.value_or(std::vector<int64_t>());
  if (list.empty()) // all
    for (int64_t i = 0; i < rank; ++i)
      list.push_back(i);
  for (int64_t &axis : list)
    axis += axis < 0 ? rank : 0;
  std::sort(list.begin(), list.end());
  bool keep = integer(seen, "keepdims", 1) != 0;
  std::string how = fmt::format("(axis: {}{})", list.size() == 1 ? std::to_string(list[0]) : listOf(list), keep ? ", keep: true" : "");
  if (op == "ReduceSumSquare" || op == "ReduceL2" || op == "ReduceL1") {
    std::string x = op == "ReduceL1" ? "abs(" + use(in(seen, 0), Or).text + ")" : simple(seen, in(seen, 0));
    std::string sum = (op == "ReduceL1" ? x : x + " * " + x) + " |> sum" + how;
    return give(seen, 0, op == "ReduceL2" ? sum + " |> sqrt" : sum, Pipe);
  }
  std::string call = op.substr(6);
  std::transform(call.begin(), call.end(), call.begin(), [](unsigned char c) { return char(tolower(c)); });
  pipe(seen, call + how);
}

void Body::argument(const Seen &seen) {
  int64_t rank = int64_t(seen.in[0].rank()), axis = integer(seen, "axis", 0);
  if (integer(seen, "select_last_index", 0))
    throw Unwritable{"the last of equal elements"};
  std::string text = fmt::format("i64({}({}, {}))", seen.node->op == "ArgMax" ? "argmax" : "argmin", use(in(seen, 0), Or).text,
                                 axis < 0 ? axis + rank : axis);
  if (integer(seen, "keepdims", 1))
    text = fmt::format("reshape({}, {})", text, listOf(seen.out[0].shape));
  give(seen, 0, text, Atom);
}

} // namespace bigm::writing
