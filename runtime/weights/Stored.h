// Tensors in files that others wrote, whatever the format: named, shaped, in one of several encodings, mapped and not
// copied.
//
// A path is a `.safetensors` file, a `.gguf` file, a manifest of TensorFlow.js (`.json`), or a folder: `model.safetensors`, or the shards that
// `model.safetensors.index.json` names, or the only file of either kind. Of a GGUF file that was split any part may be named. Files may come from anywhere, so nothing in them
// is believed; memory for reading is bounded by the length of their headers.
#pragma once
#include "runtime/core/File.h"
#include "runtime/data/Tensor.h"
#include <memory>
#include <string>
#include <vector>

namespace bigm::weights {

/// How the elements of a tensor are written. Blocks are those of GGUF; scaled ones are value = stored * scale + least.
enum class Encoding { F32, F64, BF16, F16, I64, I32, U8, I8, Bool, Q2_K, Q3_K, Q4_0, Q4_1, Q4_K, IQ4_NL, IQ4_XS, MXFP4, Q5_0, Q5_1, Q5_K,
                      Q6_K, Q8_0, ScaledU8, ScaledU16, Other };

struct StoredTensor {
  std::string name;
  std::string encodingName; // as in the file: "F16", "Q4_K"
  Encoding encoding = Encoding::Other;
  std::vector<int64_t> shape; // row-major, the last dimension runs fastest
  const uint8_t *data = nullptr;
  uint64_t bytes = 0;
  float scale = 1, least = 0; // of scaled encodings
  int64_t count() const { return data::product(shape); }
};

class Stored {
public:
  /// Throws data::Error.
  explicit Stored(const std::string &path);
  const std::vector<StoredTensor> &tensors() const { return list; }

private:
  void addFile(const std::string &path);
  void addGguf(const std::string &path);
  void addTfjs(const std::string &path);
  std::vector<std::unique_ptr<rt::MappedFile>> files;
  std::vector<std::unique_ptr<std::vector<uint8_t>>> joined; // files that are one only together
  std::vector<StoredTensor> list; // sorted by name, no name twice
};

/// Whether a tensor of this encoding can be read as elements of the type: floating point as any floating point, the
/// others as themselves.
bool readable(Encoding from, data::Elem to);
/// Writes `count()` elements to `out`. `readable` must hold.
void read(const StoredTensor &from, data::Elem to, void *out);

/// Whether a file is read as a manifest of TensorFlow.js.
bool isTfjs(const std::string &path);
/// Which part of a GGUF file this is that was split into several, counted from 0.
struct GgufPart {
  uint32_t number = 0, count = 1;
};
/// The tensors of a GGUF file in memory (ggml's format, versions 2 and 3). Throws data::Error. Named `name` in messages.
/// Takes at most 32 times the file's size in memory, whatever counts it claims.
std::vector<StoredTensor> parseGguf(const uint8_t *data, size_t size, const std::string &name,
                                    GgufPart *part = nullptr);

} // namespace bigm::weights
