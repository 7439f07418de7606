// Any bytes as what stands beside weights: the index of shards of a folder, or the manifest of TensorFlow.js weights; and as a rule
// that renames tensors. The first byte says which. Tensors that come lie inside of their files.
#include "runtime/core/Failure.h"
#include "runtime/data/Error.h"
#include "runtime/weights/Renames.h"
#include "runtime/weights/Stored.h"
#include "tests/fuzz/ScratchFolder.h"
#include "tests/runtime/weights/fuzz/ReadSome.h"

namespace w = bigm::weights;

namespace {
/// A file of safetensors with one tensor of two numbers.
std::string shard(const std::string &name) {
  std::string header = "{\"" + name + R"(":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", length(8, '\0');
  length[0] = char(header.size());
  return length + header + std::string(8, '\1');
}
void touch(const std::string &path) {
  try {
    w::Stored stored(path);
    for (const w::StoredTensor &t : stored.tensors()) {
      unsigned sum = 0;
      for (uint64_t i = 0; i < t.bytes; ++i)
        sum += t.data[i];
      if (sum > 255 * t.bytes)
        std::abort();
    }
    bigm::fuzz::readSome(stored.tensors());
  } catch (const bigm::data::Error &) {
  }
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  static const bigm::fuzz::ScratchFolder folder;
  static const bool furnished = [] {
    folder.write("shards/a.safetensors", shard("a"));
    folder.write("shards/b.safetensors", shard("b"));
    folder.write("tfjs/one.bin", std::string(12, '\2'));
    folder.write("tfjs/two.bin", std::string(4, '\3'));
    return true;
  }();
  (void)furnished;
  std::string bytes(reinterpret_cast<const char *>(data + 1), size - 1);
  switch (data[0] % 3) {
  case 0:
    folder.write("shards/model.safetensors.index.json", bytes);
    touch(folder.path + "/shards");
    break;
  case 1:
    folder.write("tfjs/model.json", bytes);
    touch(folder.path + "/tfjs/model.json");
    break;
  default: { // a left side, a right side, the name of a tensor; a line each
    std::string lines[3];
    size_t at = 0;
    for (std::string &line : lines) {
      size_t end = std::min(bytes.find('\n', at), bytes.size());
      line = bytes.substr(at, end - at);
      at = std::min(end + 1, bytes.size());
    }
    try {
      w::Renames renames({{lines[0], lines[1]}, {"{all}", "x.{all}"}});
      w::Renamed to = renames(lines[2]);
      if (to.part >= to.parts)
        std::abort();
    } catch (const bigm::data::Error &) {
    }
  }
  }
  return 0;
}
