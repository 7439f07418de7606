// Dense arrays and batches of records in memory.
#pragma once
#include "runtime/data/Bytes.h"
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bigm::data {

/// Element types, with the numbers of the C ABI (`bigm_dtype`); bool is one byte.
enum class Elem { F32, F64, BF16, F16, I64, I32, U8, I8, Bool };
size_t sizeOf(Elem);
const char *name(Elem); // "f32", "bool", ...
std::optional<Elem> elemNamed(std::string_view);

/// Row-major and dense.
struct Tensor {
  Elem elem = Elem::F32;
  std::vector<int64_t> shape;
  Bytes bytes;

  Tensor() = default;
  /// Contents are not cleared.
  Tensor(Elem elem, std::vector<int64_t> shape);
  int64_t count() const; // of elements
  template <class T> T *as() { return reinterpret_cast<T *>(bytes.data()); }
  template <class T> const T *as() const { return reinterpret_cast<const T *>(bytes.data()); }
};
int64_t product(const std::vector<int64_t> &shape);
std::string shapeText(const std::vector<int64_t> &shape); // "[3, 48, 48]"

struct Picture;

/// Fields by name, each [N, ...] with one N.
struct Batch {
  int64_t size = 0; // N
  std::vector<int64_t> records; // their numbers in the table that they come from, where they come from one
  std::map<std::string, Tensor> fields;
  std::map<std::string, std::vector<std::string>> texts; // fields that are text
  std::map<std::string, std::vector<std::vector<int32_t>>> ids; // FIELD.TOKENIZER: ids of texts that a source made itself
  std::map<std::string, std::vector<std::shared_ptr<const Picture>>> pictures; // fields that are pictures of any size
};

} // namespace bigm::data
