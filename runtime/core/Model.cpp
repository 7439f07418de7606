#include "Model.h"
#include "Elem.h"
#include "Failure.h"
#include "Narrow.h"
#include "Safetensors.h"
#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>

namespace bigm::rt {

Model::Model(std::shared_ptr<const Module> from) : module(std::move(from)) {
  const auto &decls = module->manifest.tensors;
  auto onLine = [](uint64_t bytes) { return checkedAdd(int64_t(bytes), 63, "the model") / 64 * 64; };
  int64_t total = 0;
  for (const TensorDecl &decl : decls)
    total = checkedAdd(total, onLine(decl.bytes), "the model");
  for (uint64_t bytes : module->manifest.prepared)
    total = checkedAdd(total, onLine(bytes), "the model");
  // One line more: a tensor without elements has an address of its own too.
  slotsSet.resize(module->manifest.trains.size());
  memory.allocate(size_t(checkedAdd(total, 64, "the model")));
  char *at = memory.data();
  for (const TensorDecl &decl : decls) {
    tensors.push_back(at);
    if (!decl.values.empty())
      std::memcpy(at, decl.values.data(), decl.bytes);
    at += onLine(decl.bytes);
  }
  for (uint64_t bytes : module->manifest.prepared) {
    prepared.push_back(at);
    at += onLine(bytes);
  }
}

static std::string joined(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "`" : ", `") + name + "`";
  return text;
}

/// Files of weights tell under this name, with that of a part behind it, what the part computes.
static const std::string kDigest = "bigm.digest.";

/// The outermost parts of a program, for a message.
static std::string partsOf(const Manifest &manifest) {
  std::set<std::string> parts;
  for (const TensorDecl &t : manifest.tensors)
    if (size_t dot = t.name.find('.'); dot != std::string::npos)
      parts.insert(t.name.substr(0, dot));
  return parts.empty() ? "" : "; it has " + joined({parts.begin(), parts.end()});
}

void Model::load(const std::string &path, uint32_t required, bool allowMissing, bool allowExtra, const std::string &part) {
  const Manifest &manifest = module->manifest;
  const std::string prefix = part.empty() ? "" : part + ".";
  auto inPart = [&](const std::string &name) { return name.compare(0, prefix.size(), prefix) == 0; };
  if (std::none_of(manifest.tensors.begin(), manifest.tensors.end(), [&](const TensorDecl &t) { return inPart(t.name); }) && !part.empty())
    throw Failure(BIGM_ERROR_ARGUMENT, "the program `" + manifest.name + "` has no part `" + part + "`" + partsOf(manifest));
  SafetensorsFile file(path);
  // Weights of the same shapes that were trained for something else would load and be wrong.
  for (const Train &train : manifest.trains)
    if (auto told = file.metadata().find(kDigest + train.name);
        train.name == part && told != file.metadata().end() && !train.digest.empty() && told->second != train.digest)
      throw Failure(BIGM_ERROR_WEIGHTS, path + " holds `" + part + "` as another program computes it (digest " + told->second.substr(0, 12) +
                                            "..., and here " + train.digest.substr(0, 12) + "...); build a library of that program, or train this one");
  std::vector<std::string> missing, extra, misfits;
  std::vector<const SafetensorsEntry *> sources(tensors.size());
  for (const SafetensorsEntry &entry : file.entries()) {
    auto found = manifest.tensorByName.find(entry.name);
    if (!part.empty()) {
      if (found != manifest.tensorByName.end() && !inPart(entry.name))
        continue; // another part's
      if (found == manifest.tensorByName.end())
        found = manifest.tensorByName.find(prefix + entry.name);
    }
    if (found == manifest.tensorByName.end()) {
      extra.push_back(entry.name);
      continue;
    }
    const TensorDecl &decl = manifest.tensors[found->second];
    bool wider = decl.narrowed && entry.dtype == BIGM_F32; // becomes what the program keeps
    if ((entry.dtype != decl.dtype && !wider) || entry.shape != decl.shape) {
      std::string seen = typeText(entry.dtype, entry.shape);
      if (entry.dtype < 0)
        seen.replace(0, 1, entry.dtypeName);
      misfits.push_back("`" + entry.name + "` is " + seen + " there and " + typeText(decl.dtype, decl.shape) + " in the program");
    }
    if (sources[found->second])
      throw Failure(BIGM_ERROR_WEIGHTS, path + " has `" + decl.name + "` twice, with the path of its part and without");
    sources[found->second] = &entry;
  }
  auto isWider = [&](size_t i) { return sources[i] && manifest.tensors[i].narrowed && sources[i]->dtype == BIGM_F32; };
  std::vector<char> made(tensors.size()); // scales that follow from what was read
  for (size_t i = 0; i < tensors.size(); ++i)
    if (isWider(i) && manifest.tensors[i].scales >= 0)
      made[size_t(manifest.tensors[i].scales)] = 1;
  for (size_t i = 0; i < tensors.size(); ++i)
    if (!sources[i] && !made[i] && manifest.tensors[i].values.empty() && (required >> manifest.tensors[i].kind & 1) && inPart(manifest.tensors[i].name))
      missing.push_back(manifest.tensors[i].name);
  std::string problems;
  if (!missing.empty() && !allowMissing)
    problems += "\n  missing: " + joined(missing);
  if (!extra.empty() && !allowExtra)
    problems += "\n  not in the program: " + joined(extra);
  for (const std::string &misfit : misfits)
    problems += "\n  " + misfit;
  if (!problems.empty())
    throw Failure(BIGM_ERROR_WEIGHTS, path + " does not fit " + (part.empty() ? "" : "the part `" + part + "` of ") + "the program `" + manifest.name + "`:" + problems);

  std::unique_lock guard(lock);
  for (size_t i = 0; i < tensors.size(); ++i)
    if (isWider(i)) {
      const TensorDecl &decl = manifest.tensors[i];
      std::vector<float> values(sources[i]->bytes / sizeof(float)); // in the file they need not be aligned
      std::memcpy(values.data(), sources[i]->data, values.size() * sizeof(float));
      auto floats = [&](int32_t tensor) { return tensor < 0 ? nullptr : reinterpret_cast<float *>(tensors[size_t(tensor)]); };
      narrow({decl.dtype, decl.shape, decl.axis, floats(decl.balance), decl.along}, values.data(), tensors[i], floats(decl.scales));
    } else if (sources[i] && sources[i]->bytes) {
      std::memcpy(tensors[i], sources[i]->data, sources[i]->bytes);
    }
  for (size_t i = 0; i < tensors.size(); ++i)
    if (sources[i] || made[i])
      touched(int32_t(i));
}

void Model::touched(int32_t tensor) {
  const Manifest &manifest = module->manifest;
  if (manifest.feedsPrepared[size_t(tensor)])
    stale = true;
  if (manifest.tensors[size_t(tensor)].kind != BIGM_SLOT)
    return;
  for (size_t t = 0; t < manifest.trains.size(); ++t)
    if (!slotsSet[t] && manifest.trains[t].init >= 0)
      for (const Arg &arg : manifest.functions[size_t(manifest.trains[t].init)].args)
        if (arg.tensor == tensor)
          slotsSet[t] = 1;
}

void Model::save(const std::string &path, uint32_t kinds) const {
  std::vector<SafetensorsEntry> entries;
  const auto &decls = module->manifest.tensors;
  for (size_t i = 0; i < decls.size(); ++i)
    if (kinds >> decls[i].kind & 1)
      entries.push_back({decls[i].name, decls[i].dtype, "", decls[i].shape, reinterpret_cast<const uint8_t *>(tensors[i]),
                         decls[i].bytes});
  SafetensorsMetadata metadata;
  for (const Train &train : module->manifest.trains)
    if (!train.digest.empty())
      metadata[kDigest + train.name] = train.digest;
  std::shared_lock guard(lock);
  writeSafetensors(path, std::move(entries), metadata);
}

} // namespace bigm::rt
