// Images and boxes in flows. An image is of any size and never enters compiled code; `pixels` and `fit_into` make numbers
// of it, whose size the program says. Boxes are numbers, left, top, right and bottom in pixels; a `box` knows its parts by
// name.
#include "Flow.h"
#include <algorithm>

namespace bigm::sema {

bool Checker::needImage(const Given *arg, const std::string &what) {
  if (arg->value.is(Val::Kind::Image))
    return true;
  if (!arg->value.poison())
    fail(Diag::NeedsImage, arg->where, {what, describe(arg->value)},
         arg->value.is(Val::Kind::Tensor) ? "a picture that is numbers already has `resample` and `crop`" : "");
  return false;
}

namespace {
constexpr int64_t kLongestSide = 16384; // of an image that a step makes
const char *const kModes[] = {"bilinear", "nearest", "bicubic", "area", "antialiased"};
} // namespace

std::optional<std::pair<Dim, Dim>> Checker::frameOf(const BuiltinCall &call, Spec &settings) {
  if (!needImage(call.args[0], call.builtin->name))
    return std::nullopt;
  auto height = countSetting(call.args[1], "height"), width = countSetting(call.args[2], "width");
  if (!height || !width)
    return std::nullopt;
  settings.options["height"] = double(*height);
  settings.options["width"] = double(*width);
  return std::pair(Dim(*height), Dim(*width));
}

/// pixels(image, height, width, mode?, channels?) -> u8[channels, height, width] of each row.
Val Checker::flowPixels(const BuiltinCall &call) {
  Spec settings;
  auto frame = frameOf(call, settings);
  if (!frame)
    return {};
  settings.name = "bilinear";
  if (const Given *mode = call.args[3]) {
    bool word = mode->value.is(Val::Kind::Word) || mode->value.is(Val::Kind::String);
    if (!word || std::find(std::begin(kModes), std::end(kModes), mode->value.text) == std::end(kModes))
      return fail(Diag::PixelsMode, mode->where, {word ? "`" + mode->value.text + "`" : describe(mode->value)});
    settings.name = mode->value.text;
  }
  int64_t channels = 3;
  if (const Given *given = call.args[4]) {
    auto n = countSetting(given, "channels");
    if (!n)
      return {};
    if (*n != 1 && *n != 3)
      return fail(Diag::ArgumentKind, given->where, {"pixels", "channels", "1 (grey) or 3 (red, green, blue)", source(given->where)});
    channels = *n;
  }
  settings.options["channels"] = double(channels);
  RichType pixels;
  pixels.slot = "pixels";
  pixels.tensor = {Elem::U8, {Dim(channels), frame->first, frame->second}, 0};
  return hostStep("pixels", {call.args[0]->value}, settings, {pixels}, call.where)[0];
}

/// fit_into(image, height, width, value?) -> {pixels: u8[3, height, width], scale: f32, left: f32, top: f32} of each row:
/// as large as goes, in the middle; a point p of the image stands at p * scale + (left, top).
Val Checker::flowFitInto(const BuiltinCall &call) {
  Spec settings;
  auto frame = frameOf(call, settings);
  if (!frame)
    return {};
  settings.options["value"] = 0.0;
  if (const Given *given = call.args[3]) {
    auto n = wholeNumber(given->value, given->where, "`value`");
    if (!n)
      return {};
    if (*n < 0 || *n > 255)
      return fail(Diag::ArgumentKind, given->where, {"fit_into", "value", "a whole number from 0 to 255", source(given->where)});
    settings.options["value"] = double(*n);
  }
  RichType pixels, number;
  pixels.slot = "pixels";
  pixels.tensor = {Elem::U8, {Dim(int64_t(3)), frame->first, frame->second}, 0};
  number.tensor = {Elem::F32, {}, 0};
  std::vector<RichType> outputs = {pixels};
  for (const char *name : {"scale", "left", "top"}) {
    number.slot = std::string("pixels.") + name;
    outputs.push_back(number);
  }
  Val out;
  out.kind = Val::Kind::Record;
  out.names = {"pixels", "scale", "left", "top"};
  out.items = hostStep("fit_into", {call.args[0]->value}, settings, outputs, call.where);
  return out;
}

/// cut(image, box, value?) -> image: what stands in the box of each row; beyond the picture's edge its last pixels go on.
Val Checker::flowCut(const BuiltinCall &call) {
  if (!needImage(call.args[0], call.builtin->name))
    return {};
  if (!flow)
    return fail(Diag::OutsideFlow, call.where, {"cut"});
  const Given &box = *call.args[1];
  const TensorType &t = box.value.type;
  if (!box.value.is(Val::Kind::Tensor) || t.elem != Elem::F32 || t.shape.size() != 2 || t.shape[0] != flow->rows() ||
      t.shape[1] != Dim(int64_t(4)))
    return fail(Diag::CutNeedsBox, box.where, {describe(box.value)}, "left, top, right, bottom in pixels");
  RichType image;
  image.kind = RichType::Kind::Image;
  image.slot = "cut";
  return hostStep("cut", {call.args[0]->value, box.value}, {}, {image}, call.where)[0];
}

/// warp(image, matrix f32[2, 3] of each row, height, width, fill?) -> image of that size.
Val Checker::flowWarp(const BuiltinCall &call) {
  if (!flow)
    return fail(Diag::OutsideFlow, call.where, {"warp"}, "of an image; what `pixels` made of one is warped anywhere");
  for (size_t i : {size_t(2), size_t(3)})
    if (!call.args[i])
      return fail(Diag::MissingArgument, call.where, {"warp", i == 2 ? "height" : "width"}, "say how large the new image is: `warp(image, matrix, height: 64, width: 64)`");
  auto height = countSetting(call.args[2], "height"), width = countSetting(call.args[3], "width");
  if (!height || !width)
    return {};
  for (auto &[given, side] : {std::pair(call.args[2], *height), std::pair(call.args[3], *width)})
    if (side > kLongestSide)
      return fail(Diag::ArgumentKind, given->where, {"warp", given == call.args[2] ? "height" : "width", "a whole number from 1 to " + std::to_string(kLongestSide), source(given->where)});
  const Given &matrix = *call.args[1];
  const TensorType &t = matrix.value.type;
  if (!matrix.value.is(Val::Kind::Tensor) || t.elem != Elem::F32 || t.shape != std::vector<Dim>{flow->rows(), Dim(int64_t(2)), Dim(int64_t(3))})
    return fail(Diag::WarpMatrix, matrix.where, {flow->rows().str(), describe(matrix.value)});
  Spec settings;
  settings.options = {{"height", double(*height)}, {"width", double(*width)}, {"fill", 0.0}};
  static constexpr NumberSetting numbers[] = {{"fill", 0, 255, true, "a whole number from 0 to 255"}};
  if (!readNumbers(call, 4, numbers, settings))
    return {};
  RichType image;
  image.kind = RichType::Kind::Image;
  image.slot = "warped";
  return hostStep("warp", {call.args[0]->value, matrix.value}, settings, {image}, call.where)[0];
}

/// blur(image, sigma) -> image of the same size, by a Gaussian of so many pixels.
Val Checker::flowBlur(const BuiltinCall &call) {
  if (!needImage(call.args[0], "blur"))
    return {};
  if (!flow)
    return fail(Diag::OutsideFlow, call.where, {"blur"});
  Spec settings;
  static constexpr NumberSetting numbers[] = {{"sigma", 0.1, 100, false, "a number from 0.1 to 100, in pixels"}};
  if (!readNumbers(call, 1, numbers, settings))
    return {};
  RichType image;
  image.kind = RichType::Kind::Image;
  image.slot = "blurred";
  return hostStep("blur", {call.args[0]->value}, settings, {image}, call.where)[0];
}

/// nms(boxes f32[N, A, 4], scores f32[N, A] or [N, A, C], score?, iou?, at_most?, soft?) -> a list for each row of
/// {box: box, score: f32} and, where there are classes, {label}: greedy non-maximum suppression, class by class.
Val Checker::flowNms(const BuiltinCall &call) {
  if (!flow)
    return fail(Diag::OutsideFlow, call.where, {"nms"});
  const Given &boxes = *call.args[0], &scores = *call.args[1];
  if (!needTensor(&boxes, "nms") || !needTensor(&scores, "nms"))
    return {};
  const auto &b = boxes.value.type, &s = scores.value.type;
  bool classes = s.shape.size() == 3;
  if (b.elem != Elem::F32 || b.shape.size() != 3 || b.shape[0] != flow->rows() || b.shape[2] != Dim(int64_t(4)))
    return fail(Diag::NmsShapes, boxes.where, {"boxes", "f32[records, A, 4]: left, top, right, bottom", describe(boxes.value)});
  if (s.elem != Elem::F32 || (s.shape.size() != 2 && !classes) || s.shape[0] != flow->rows() || s.shape[1] != b.shape[1])
    return fail(Diag::NmsShapes, scores.where,
                {"scores", "f32[records, " + b.shape[1].str() + "], or one more dimension for classes", describe(scores.value)});
  Spec settings;
  settings.options = {{"score", 0.5}, {"iou", 0.45}, {"at_most", 100.0}, {"soft", 0.0}};
  static constexpr NumberSetting numbers[] = {{"score", -1e30, 1e30, false, "a number"},
                                              {"iou", 0, 1, false, "a number from 0 to 1"},
                                              {"at_most", 1, 1e6, true, "a whole number of 1 or more"},
                                              {"soft", 0, 1e9, false, "a number of 0 or more"}};
  if (!readNumbers(call, 2, numbers, settings))
    return {};
  RichType box, score, label;
  box.slot = "found.box";
  box.tensor = {Elem::F32, {Dim(int64_t(4))}, 0};
  box.meaning = "box";
  score.slot = "found.score";
  score.tensor = {Elem::F32, {}, 0};
  score.meaning = "score";
  std::vector<RichType> outputs = {box, score};
  if (classes) {
    label.slot = "found.label";
    label.tensor = {Elem::I32, {}, s.shape[2]};
    outputs.push_back(label);
  }
  auto [space, values] = openSpace("nms", "found", {boxes.value, scores.value}, settings, outputs, call.where);
  Val out;
  out.kind = Val::Kind::Elements;
  out.space = space;
  out.items.emplace_back();
  out.items[0].kind = Val::Kind::Record;
  out.items[0].names = {"box", "score"};
  if (classes)
    out.items[0].names.push_back("label");
  out.items[0].items = values;
  return out;
}

std::vector<Val> Checker::loaderStep(const std::string &op, const Val &image, Spec settings, const std::vector<RichType> &outputs,
                                     SourceRange where) {
  HostStep step;
  step.op = op;
  step.input = image.text;
  step.output = image.text + "." + op; // says all that it does, so that the same asked twice is one step
  if (!settings.name.empty())
    step.output += "." + settings.name;
  for (auto &[option, value] : settings.options)
    if (auto *number = std::get_if<double>(&value))
      step.output += "." + option + std::to_string(int64_t(*number));
  step.settings = std::move(settings);
  std::vector<Val> values;
  for (const RichType &o : outputs) {
    std::string name = step.output + (step.outputs.empty() ? "" : o.slot.substr(o.slot.rfind('.')));
    step.outputs.push_back(name);
    TensorType type = o.tensor;
    type.shape.insert(type.shape.begin(), Dim::symbol("N"));
    values.push_back(fieldInput(image.data, name, type, where));
  }
  auto &steps = program->data[image.data].host;
  if (std::none_of(steps.begin(), steps.end(), [&](auto &s) { return s.output == step.output; }))
    steps.push_back(std::move(step));
  return values;
}

std::optional<Val> Checker::memberOfImage(const Val &image, const ast::Name &member) {
  if (member.text != "width" && member.text != "height")
    return std::nullopt;
  RichType one;
  one.slot = image.text + "." + member.text;
  one.tensor = {Elem::F32, {}, 0};
  Spec which;
  which.name = member.text;
  if (!flow)
    return loaderStep("extent", image, which, {one}, member.range)[0];
  auto key = std::pair(one.slot, flow->space);
  auto known = flow->spread.find(key);
  if (known == flow->spread.end()) {
    known = flow->spread.emplace(key, hostStep("extent", {image}, which, {one}, member.range)[0]).first;
  }
  return known->second;
}

std::optional<Val> Checker::memberOfBox(const Val &box, const ast::Name &member) {
  static const char *const sides[] = {"left", "top", "right", "bottom"};
  const TensorType &t = box.type;
  size_t last = t.shape.size() - 1;
  auto side = [&](int64_t which) {
    TensorType type{t.elem, {t.shape.begin(), t.shape.end() - 1}, 0};
    AffineIndices map;
    for (uint32_t d = 0; d < last; ++d)
      map.push_back(index(d));
    map.push_back(AffineIndex{{}, which});
    return rec->view(box.tensor, type.shape, map);
  };
  for (int64_t i = 0; i < 4; ++i)
    if (member.text == sides[i])
      return tensorVal(side(i));
  bool width = member.text == "width";
  if (!width && member.text != "height")
    return std::nullopt;
  Value low = side(width ? 0 : 1), high = side(width ? 2 : 3);
  return tensorVal(rec->add(Op::Sub, {high, low}, rec->type(low)));
}

} // namespace bigm::sema
