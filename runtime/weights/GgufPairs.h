// What a GGUF file says beside its tensors: keys and their values, left where they lie in the file.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bigm::weights {

/// ggml's numbers for types of values.
enum class GgufType : uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, Text, List, U64, I64, F64 };

class GgufPairs {
public:
  struct Value {
    GgufType type; // of a list that of its elements
    bool list;
    uint64_t count;      // 1 where it is no list
    const uint8_t *data; // of the first element; all are inside of the file
  };
  explicit GgufPairs(std::string file) : file(std::move(file)) {}
  /// A key given twice keeps its first value.
  void add(std::string_view key, Value value) { values.emplace(key, value); }

  // Each is nothing, or empty, where the file has no such key. Throws data::Error naming the file and the key where its value
  // is of another type.
  std::optional<std::string_view> text(std::string_view key) const;
  std::optional<int64_t> whole(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  std::vector<std::string_view> texts(std::string_view key) const;
  std::vector<int32_t> wholes(std::string_view key) const;
  std::vector<float> numbers(std::string_view key) const; // whole ones as well
  std::span<const uint8_t> bytes(std::string_view key) const;

private:
  const Value *find(std::string_view key, bool list) const;
  [[noreturn]] void wrong(std::string_view key, const char *expected) const;
  std::string file;
  std::map<std::string_view, Value> values;
};

/// The pairs of a GGUF file in memory. Throws data::Error. The tensors are not looked at.
GgufPairs parseGgufPairs(const uint8_t *data, size_t size, const std::string &name);

} // namespace bigm::weights
