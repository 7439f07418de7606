// Which tensor of a file becomes which of the model is said by the program's rules (runtime/weights/Renames.h); here the
// two lists are held against each other, and what is missing, left over or of another shape is told at once.
#include "Pretrained.h"
#include "Driver.h"
#include "Guard.h"
#include "Session.h"
#include "runtime/core/Narrow.h"
#include "runtime/data/Error.h"
#include "runtime/include/bigm/bigm.h"
#include "runtime/weights/Renames.h"
#include "runtime/weights/Stored.h"
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fmt/ranges.h>
#include <set>

namespace bigm::driver {
namespace fs = std::filesystem;
using data::fail;

namespace {

constexpr size_t kNamed = 8; // tensors that an error names of each kind

bool holdsWeights(const std::string &folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    return false;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator(); it.increment(error))
    if (it->path().extension() == ".safetensors" || it->path().extension() == ".gguf")
      return true;
  return false;
}

std::string typeText(const TensorInfo &t) { return data::name(t.elem) + data::shapeText(t.shape); }

/// The type of a tensor as files have it.
data::Elem wideElem(const TensorInfo &t) { return t.narrowed ? data::Elem::F32 : t.elem; }

/// Writes a tensor given its elements in the type that files have.
void writeWide(const Program &program, bigm_model *model, size_t index, const void *values, size_t bytes) {
  const TensorInfo &t = program.tensors[index];
  if (!t.narrowed) {
    expect(bigm_model_write(model, int32_t(index), values, bytes));
    return;
  }
  std::vector<float> wide(bytes / sizeof(float)); // elements in a file need not be aligned
  std::memcpy(wide.data(), values, wide.size() * sizeof(float));
  std::vector<uint8_t> narrow(wide.size() * data::sizeOf(t.elem));
  std::vector<float> scales(t.scales < 0 ? 0 : size_t(t.shape[size_t(t.axis)]));
  int32_t dtype = t.elem == data::Elem::I8 ? BIGM_I8 : t.elem == data::Elem::F16 ? BIGM_F16 : BIGM_BF16;
  auto *balance = t.balance < 0 ? nullptr : static_cast<const float *>(bigm_model_data(model, t.balance));
  rt::narrow({dtype, t.shape, t.axis, balance, t.along}, wide.data(), narrow.data(), t.scales < 0 ? nullptr : scales.data());
  expect(bigm_model_write(model, int32_t(index), narrow.data(), narrow.size()));
  if (t.scales >= 0)
    expect(bigm_model_write(model, t.scales, scales.data(), scales.size() * sizeof(float)));
}

/// Tensors that hold scales of others, or what the manifest says: no file has them.
std::set<size_t> madeBy(const Program &program) {
  std::set<size_t> all;
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    if (program.tensors[i].scales >= 0)
      all.insert(size_t(program.tensors[i].scales));
    if (program.tensors[i].valued)
      all.insert(i);
  }
  return all;
}

/// One tensor of the model and the stored ones that it is made of.
struct Filled {
  std::vector<const weights::StoredTensor *> parts;
  std::vector<size_t> order; // of the stored dimensions; empty: as they are
};

/// Why the parts do not make the tensor; empty when they do.
std::string unfit(const TensorInfo &t, const Filled &filled) {
  std::vector<int64_t> whole;
  for (size_t i = 0; i < filled.parts.size(); ++i) {
    const weights::StoredTensor *part = filled.parts[i];
    if (!part)
      return fmt::format("part {} of {} of `{}` is missing", i + 1, filled.parts.size(), t.name);
    if (!weights::readable(part->encoding, wideElem(t)))
      return fmt::format("`{}` is {}, which cannot be read as {}", part->name, part->encodingName, data::name(t.elem));
    std::vector<int64_t> shape = part->shape;
    if (!filled.order.empty()) {
      if (shape.size() != filled.order.size())
        return filled.order.size() == 2 ? fmt::format("`{}` is {} and so cannot be transposed", part->name, data::shapeText(shape))
                                        : fmt::format("`{}` is {} and the rule orders {} dimensions", part->name, data::shapeText(shape), filled.order.size());
      for (size_t d = 0; d < shape.size(); ++d)
        shape[d] = part->shape[filled.order[d]];
    }
    if (i == 0) {
      whole = shape;
      continue;
    }
    if (shape.empty() || shape.size() != whole.size() || !std::equal(shape.begin() + 1, shape.end(), whole.begin() + 1))
      return fmt::format("`{}` is {} and cannot be joined to `{}`, {}", part->name, data::shapeText(part->shape),
                         filled.parts[0]->name, data::shapeText(filled.parts[0]->shape));
    whole[0] += shape[0];
  }
  if (whole == t.shape)
    return "";
  return fmt::format("`{}` is {}{} and `{}` needs {}", filled.parts[0]->name, data::shapeText(whole),
                     filled.parts.size() > 1 ? " with what is joined to it" : "", t.name, typeText(t));
}

/// Elements of a row-major array with its dimensions in another order: the first of `to` is number order[0] of `from`.
void inOrder(const uint8_t *from, const std::vector<int64_t> &shape, const std::vector<size_t> &order, size_t each, uint8_t *to) {
  size_t rank = shape.size();
  std::vector<int64_t> strides(rank, 1), steps, sizes, at(rank, 0);
  for (size_t d = rank - 1; d-- > 0;)
    strides[d] = strides[d + 1] * shape[d + 1];
  for (size_t d : order) {
    steps.push_back(strides[d]);
    sizes.push_back(shape[d]);
  }
  int64_t offset = 0;
  for (int64_t n = data::product(shape); n-- > 0; to += each) {
    std::memcpy(to, from + size_t(offset) * each, each);
    for (size_t d = rank; d-- > 0;) {
      offset += steps[d];
      if (++at[d] < sizes[d])
        break;
      offset -= steps[d] * sizes[d];
      at[d] = 0;
    }
  }
}

std::vector<uint8_t> valuesOf(const TensorInfo &t, const Filled &filled) {
  size_t each = data::sizeOf(wideElem(t));
  std::vector<uint8_t> out(size_t(data::product(t.shape)) * each), turned;
  size_t at = 0;
  for (const weights::StoredTensor *part : filled.parts) {
    size_t bytes = size_t(part->count()) * each;
    weights::read(*part, wideElem(t), out.data() + at);
    if (!filled.order.empty()) {
      turned.assign(out.begin() + int64_t(at), out.begin() + int64_t(at + bytes));
      inOrder(turned.data(), part->shape, filled.order, each, out.data() + at);
    }
    at += bytes;
  }
  return out;
}

std::string some(const char *what, std::vector<std::string> names) {
  size_t all = names.size();
  if (all == 0)
    return "";
  names.resize(std::min(all, kNamed));
  return fmt::format("; {} {}: {}{}", all, what, fmt::join(names, ", "), all > kNamed ? ", ..." : "");
}

void load(const Program &program, bigm_model *model, const ModelSource &source, const Places &places) {
  std::string path = find(source.path, "the file of the weights of `" + source.name + "`", places), prefix = source.name + ".";
  weights::Stored stored(path);
  weights::Renames renames(source.renames);
  std::map<std::string, size_t> wanted;
  std::set<size_t> made = madeBy(program);
  for (size_t i = 0; i < program.tensors.size(); ++i)
    if (auto &t = program.tensors[i]; (t.kind == "param" || t.kind == "state") && t.name.starts_with(prefix) && !made.count(i))
      wanted[t.name.substr(prefix.size())] = i;

  std::map<size_t, Filled> filled;
  std::vector<std::string> extra, missing, different;
  for (auto &t : stored.tensors()) {
    weights::Renamed to = renames(t.name);
    auto found = wanted.find(to.name);
    if (found == wanted.end()) {
      if (!to.name.empty() && !t.name.ends_with("num_batches_tracked")) // PyTorch's count, which nothing reads
        extra.push_back("`" + t.name + "`" + (to.name == t.name ? "" : " (as `" + to.name + "`)"));
      continue;
    }
    Filled &f = filled[found->second];
    if (f.parts.empty())
      f.parts.resize(to.parts);
    if (f.parts.size() != to.parts || f.parts[to.part])
      fail("{}: two tensors become `{}`: `{}` is the second", path, to.name, t.name);
    f.parts[to.part] = &t;
    f.order = to.order;
  }
  for (auto &[name, index] : wanted)
    if (!filled.count(index) && !renames.begins(name))
      missing.push_back("`" + name + "`");
  for (auto &[index, f] : filled)
    if (std::string why = unfit(program.tensors[index], f); !why.empty())
      different.push_back(why);
  if (!missing.empty() || !extra.empty() || !different.empty()) {
    std::string text = some("tensors of the model are missing", missing) +
                       some("tensors of the file are not in the model", extra) + some("do not fit", different);
    fail("{} does not fit `{}`: {}; rules for names stand in braces behind `from pretrained(...)`", path, source.name,
         text.substr(2));
  }
  for (auto &[index, f] : filled) {
    auto values = valuesOf(program.tensors[index], f);
    writeWide(program, model, index, values.data(), values.size());
  }
}

/// Tensors whose elements the caller has.
void write(const Program &program, bigm_model *model, const ModelSource &source, const Places &places) {
  std::set<size_t> made = madeBy(program);
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    auto &t = program.tensors[i];
    if (made.count(i) || (t.kind != "param" && t.kind != "state") || !t.name.starts_with(source.name + "."))
      continue;
    const std::string_view *bytes = nullptr;
    for (auto &[name, elements] : *places.given)
      if (name == t.name)
        bytes = &elements;
    if (!bytes)
      throw std::runtime_error(fmt::format("bug in bigmc: `{}` has no initial value", t.name));
    writeWide(program, model, i, bytes->data(), bytes->size());
  }
}

/// Settings of flows that a training is to fit have the program's value until then.
void writeDefaults(const Program &program, bigm_model *model, const Places &places) {
  for (size_t i = 0; i < program.tensors.size(); ++i)
    for (auto &[name, elements] : *places.given)
      if (program.tensors[i].kind == "fit" && program.tensors[i].name == name)
        expect(bigm_model_write(model, int32_t(i), elements.data(), elements.size()));
}

} // namespace

std::string find(const std::string &name, const std::string &what, const Places &places) {
  std::vector<std::string> tried;
  auto there = [&](const std::string &path) {
    std::error_code error;
    tried.push_back(path);
    return fs::exists(path, error);
  };
  fs::path wanted(name);
  if (!places.dataDir.empty()) {
    fs::path folder(places.dataDir);
    if (auto path = (folder / wanted).string(); there(path))
      return path;
    // `--data` may be the very folder: `all-MiniLM-L6-v2` itself, or `tokenizer.json` of it in `all-MiniLM-L6-v2/tokenizer.json`.
    if (!wanted.has_parent_path() && holdsWeights(folder.string()))
      return folder.string();
    if (auto path = (folder / wanted.filename()).string(); wanted.has_parent_path() && there(path))
      return path;
  }
  if (auto path = (fs::path(places.sourceDir) / wanted).string(); there(path))
    return path;
  if (const char *folder = std::getenv("BIGM_WEIGHTS"); folder && *folder)
    if (auto path = (fs::path(folder) / wanted).string(); there(path))
      return path;
  fail("{} is not there: {}; say with `--data` where `{}` lies", what, fmt::join(tried, ", "), name);
}

void loadPretrained(const Program &program, bigm_model *model, const Places &places) {
  for (auto &source : program.sources)
    source.kind == "onnx" ? write(program, model, source, places) : load(program, model, source, places);
  writeDefaults(program, model, places);
}

Result loadPretrained(const bigm_module *module, bigm_model *model, const CommonOptions &options) {
  return guarded([&] {
    uint64_t size = 0;
    const char *manifest = bigm_module_manifest(module, &size);
    loadPretrained(parseProgram({manifest, size}), model, {options.dataDir, options.sourceDir, &options.given});
    return Result{};
  });
}

} // namespace bigm::driver
