#include "Stored.h"
#include "runtime/core/Failure.h"
#include "runtime/core/Safetensors.h"
#include "runtime/data/Files.h"
#include "runtime/data/JsonText.h"
#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

namespace bigm::weights {
namespace fs = std::filesystem;
using data::fail;

namespace {

constexpr uintmax_t kMostIndex = 100'000'000; // bytes of an index of shards

/// The shards that an index names, each once.
std::set<std::string> shardsOf(const fs::path &index) {
  auto json = data::parseJson(data::readText(index.string(), kMostIndex), index.string());
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object())
    fail("{}: is no index of shards; expected an object with `weight_map`", index.string());
  std::set<std::string> shards;
  for (auto &[tensor, shard] : json["weight_map"].items()) {
    if (!shard.is_string() || fs::path(shard.get<std::string>()).filename() != shard.get<std::string>())
      fail("{}: `{}` is in no file of this folder", index.string(), tensor);
    shards.insert(shard.get<std::string>());
  }
  return shards;
}

/// The name of a split file's part, as its writers count: NAME-00002-of-00003.gguf.
std::string partName(const std::string &stem, uint32_t number, uint32_t count) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", stem, number + 1, count);
}
/// What stands before the number of a part; nothing where the path is not that of this part.
std::optional<std::string> stemOf(const std::string &path, GgufPart part) {
  std::string tail = partName("", part.number, part.count);
  if (!path.ends_with(tail))
    return std::nullopt;
  return path.substr(0, path.size() - tail.size());
}

bool isGguf(const rt::MappedFile &file) {
  return file.size() >= 4 && std::string_view(reinterpret_cast<const char *>(file.data()), 4) == "GGUF";
}

/// The files of a folder that hold its weights.
std::vector<std::string> filesOf(const std::string &folder) {
  fs::path root(folder);
  if (fs::is_regular_file(root / "model.safetensors"))
    return {(root / "model.safetensors").string()};
  if (fs::is_regular_file(root / "model.safetensors.index.json")) {
    std::vector<std::string> files;
    for (auto &shard : shardsOf(root / "model.safetensors.index.json"))
      files.push_back((root / shard).string());
    return files;
  }
  std::vector<std::string> files;
  std::error_code error;
  for (auto it = fs::directory_iterator(root, error); !error && it != fs::directory_iterator(); it.increment(error))
    if (it->path().extension() == ".safetensors" || it->path().extension() == ".gguf")
      files.push_back(it->path().string());
  if (files.size() == 1)
    return files;
  std::sort(files.begin(), files.end());
  if (!files.empty())
    if (auto stem = stemOf(files[0], {0, uint32_t(files.size())}); stem && files.back() == partName(*stem, uint32_t(files.size()) - 1, uint32_t(files.size())))
      return {files[0]}; // the parts of one file
  if (files.empty())
    fail("{}: holds no weights; expected `model.safetensors`, its shards with `model.safetensors.index.json`, or one "
         ".safetensors or .gguf file", folder);
  fail("{}: holds {} files with weights; name one of them", folder, files.size());
}

} // namespace

Stored::Stored(const std::string &path) {
  if (fs::is_directory(path))
    for (auto &file : filesOf(path))
      addFile(file);
  else
    addFile(path);
  std::sort(list.begin(), list.end(), [](auto &a, auto &b) { return a.name < b.name; });
  for (size_t i = 1; i < list.size(); ++i)
    if (list[i].name == list[i - 1].name)
      fail("{}: `{}` stands there twice", path, list[i].name);
}

void Stored::addFile(const std::string &path) {
  try {
    if (isTfjs(path))
      return addTfjs(path);
    files.push_back(std::make_unique<rt::MappedFile>(path));
    const rt::MappedFile &file = *files.back();
    if (isGguf(file))
      return addGguf(path);
    for (auto &entry : rt::parseSafetensors(file.data(), file.size(), path)) {
      StoredTensor t;
      t.name = entry.name;
      t.encodingName = entry.dtypeName;
      t.encoding = entry.dtype < 0 ? Encoding::Other : Encoding(entry.dtype);
      t.shape = entry.shape;
      t.data = entry.data;
      t.bytes = entry.bytes;
      list.push_back(std::move(t));
    }
  } catch (const rt::Failure &failure) {
    throw data::Error(failure.what());
  }
}

void Stored::addGguf(const std::string &path) {
  auto add = [&](const std::string &at) {
    GgufPart part;
    for (auto &t : parseGguf(files.back()->data(), files.back()->size(), at, &part))
      list.push_back(std::move(t));
    return part;
  };
  GgufPart named = add(path); // the file that was opened last
  if (named.count == 1)
    return;
  auto stem = stemOf(path, named);
  if (!stem)
    fail("{}: says that it is one of {} parts of a file, which are found by their names; name it {}", path, named.count,
         fs::path(partName("NAME", named.number, named.count)).string());
  for (uint32_t number = 0; number < named.count; ++number) {
    if (number == named.number)
      continue;
    std::string other = partName(*stem, number, named.count);
    files.push_back(std::make_unique<rt::MappedFile>(other));
    if (!isGguf(*files.back()))
      fail("{}: is no GGUF file, and {} says that it is a part of the same", other, path);
    GgufPart part = add(other);
    if (part.number != number || part.count != named.count)
      fail("{}: says that it is part {} of {}; expected part {} of {} beside {}", other, part.number + 1, part.count, number + 1, named.count, path);
  }
}

} // namespace bigm::weights
