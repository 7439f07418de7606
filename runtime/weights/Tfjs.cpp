// TensorFlow.js weights: a manifest in JSON, a list of groups or a `model.json` with them as `weightsManifest`, each with
// the files whose bytes, one after the other, are its tensors in order. A tensor may be stored in fewer bits: as u8 or u16
// with value = stored * scale + min, or as f16.
#include "Stored.h"
#include "runtime/data/Files.h"
#include "runtime/data/JsonText.h"
#include <algorithm>
#include <filesystem>

namespace bigm::weights {
namespace fs = std::filesystem;
using data::fail;
using nlohmann::json;

namespace {

constexpr uintmax_t kMostManifest = 100'000'000; // bytes

struct Kind {
  const char *name;
  Encoding encoding;
  uint64_t bytes;
};
constexpr Kind kKinds[] = {{"float32", Encoding::F32, 4}, {"int32", Encoding::I32, 4}, {"uint8", Encoding::U8, 1},
                           {"bool", Encoding::Bool, 1},   {"float16", Encoding::F16, 2}};

template <class T> T need(const json &j, const char *key, const std::string &where) {
  try {
    return j.at(key).get<T>();
  } catch (const json::exception &) {
    fail("{}: a manifest of weights needs `{}` here: {}", where, key, j.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 120));
  }
}

StoredTensor described(const json &j, const std::string &path) {
  StoredTensor t;
  t.name = need<std::string>(j, "name", path);
  t.shape = need<std::vector<int64_t>>(j, "shape", path);
  t.encodingName = need<std::string>(j, "dtype", path);
  uint64_t count = 1, each = 0;
  for (int64_t size : t.shape)
    if (size < 0 || __builtin_mul_overflow(count, uint64_t(size), &count) || count > uint64_t(1) << 40)
      fail("{}: `{}` has the impossible shape {}", path, t.name, data::shapeText(t.shape));
  for (auto &kind : kKinds)
    if (t.encodingName == kind.name) {
      t.encoding = kind.encoding;
      each = kind.bytes;
    }
  if (j.contains("quantization")) {
    const json &q = j["quantization"];
    t.encodingName = need<std::string>(q, "dtype", path);
    if (t.encodingName == "float16") {
      t.encoding = Encoding::F16;
      each = 2;
    } else if (t.encodingName == "uint8" || t.encodingName == "uint16") {
      t.encoding = t.encodingName == "uint8" ? Encoding::ScaledU8 : Encoding::ScaledU16;
      each = t.encodingName == "uint8" ? 1 : 2;
      t.scale = need<float>(q, "scale", path);
      t.least = need<float>(q, "min", path);
    } else {
      each = 0;
    }
  }
  if (each == 0)
    fail("{}: `{}` is stored as {}, which is none of float32, float16, int32, uint8, uint16, bool", path, t.name, t.encodingName);
  t.bytes = count * each;
  return t;
}

} // namespace

bool isTfjs(const std::string &path) { return path.ends_with(".json"); }

void Stored::addTfjs(const std::string &path) {
  json manifest = data::parseJson(data::readText(path, kMostManifest), path);
  if (manifest.is_object() && manifest.contains("weightsManifest"))
    manifest = json(manifest["weightsManifest"]);
  if (!manifest.is_array() || manifest.empty())
    fail("{}: is no manifest of weights; expected a list of groups with `paths` and `weights`, or `weightsManifest`", path);
  for (auto &group : manifest) {
    std::vector<StoredTensor> tensors;
    uint64_t wanted = 0;
    for (auto &j : need<std::vector<json>>(group, "weights", path)) {
      tensors.push_back(described(j, path));
      wanted += tensors.back().bytes;
    }
    auto names = need<std::vector<std::string>>(group, "paths", path);
    uint64_t there = 0;
    size_t first = files.size();
    for (auto &name : names) {
      if (fs::path(name).filename() != name)
        fail("{}: the file `{}` is not in the manifest's folder", path, name);
      files.push_back(std::make_unique<rt::MappedFile>((fs::path(path).parent_path() / name).string()));
      there += files.back()->size();
    }
    if (there != wanted)
      fail("{}: its tensors have {} bytes, and its files {}", path, wanted, there);
    // Several files are one only in memory; a single one stays mapped.
    const uint8_t *bytes = nullptr;
    if (names.size() == 1) {
      bytes = files[first]->data();
    } else if (there > 0) {
      joined.push_back(std::make_unique<std::vector<uint8_t>>());
      for (size_t i = first; i < files.size(); ++i)
        joined.back()->insert(joined.back()->end(), files[i]->data(), files[i]->data() + files[i]->size());
      bytes = joined.back()->data();
      files.resize(first);
    }
    for (auto &t : tensors) {
      t.data = bytes;
      bytes += t.bytes;
      list.push_back(std::move(t));
    }
  }
}

} // namespace bigm::weights
