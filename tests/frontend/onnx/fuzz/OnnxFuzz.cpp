// Any bytes through the reader and, where they are a model, through the evaluation of its graph on small inputs. What
// must hold: no crash, no leak, an error exactly when there is no model.
#include "frontend/sema/Onnx.h"
#include "tests/fuzz/AllocationLimit.h"

using namespace bigm;
namespace import = bigm::sema::onnx_import;

namespace {
struct Tensors : import::Store {
  sema::Recorder &rec;
  std::vector<TensorDecl> all;
  explicit Tensors(sema::Recorder &rec) : rec(rec) {}
  Value tensor(const std::string &name, TensorDecl::Kind kind, const TensorType &type, Bytes) override {
    all.push_back({kind, name, type, {}, {}});
    return rec.tensor(int(all.size()) - 1, all.back());
  }
};
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string error;
  std::shared_ptr<const onnx::Model> model;
  // The schema's own description is made once, at the first file: that is nothing of this one's.
  static const bool described = !onnx::read(std::string_view(":\0", 2), "/nonexistent", error);
  (void)described;
  error.clear();
  {
    fuzz::AllocationLimit limit(size, 200); // as Onnx.h says
    model = onnx::read(std::string_view(reinterpret_cast<const char *>(data), size), "/nonexistent", error);
  }
  if (!model != !error.empty())
    std::abort();
  if (!model)
    return 0;
  sema::Recorder rec("f");
  Tensors store(rec);
  import::Tensors tensors(rec, store);
  import::Evaluation evaluation(*model, tensors);
  import::Vals inputs;
  for (auto &input : model->graph.inputs) {
    auto elem = import::elemOf(input.type);
    if (!elem || !input.shape)
      return 0;
    TensorType type{*elem, {}, 0};
    for (auto &d : *input.shape)
      type.shape.push_back(std::holds_alternative<int64_t>(d)       ? Dim(std::get<int64_t>(d))
                           : std::holds_alternative<std::string>(d) ? Dim::symbol("s" + std::get<std::string>(d))
                                                                    : Dim::symbol("N"));
    inputs.push_back(tensors.recorded(rec.input(input.name, type, {}), input.type));
  }
  try {
    for (auto &v : evaluation.run(inputs))
      if (v.some() && !v.sequence)
        rec.output("y", tensors.use(v));
  } catch (const import::Refusal &) {
  }
  return 0;
}
