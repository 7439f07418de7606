// GGUF files in memory, as their pairs and tensors stand in them.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace bigm::weights::test {

template <class T> std::string raw(T value) { return {reinterpret_cast<const char *>(&value), sizeof value}; }
inline std::string textBytes(const std::string &text) { return raw(uint64_t(text.size())) + text; }

template <class T> std::string pair(const std::string &key, uint32_t type, T value) { return textBytes(key) + raw(type) + raw(value); }
inline std::string pair(const std::string &key, const std::string &text) { return textBytes(key) + raw(uint32_t(8)) + textBytes(text); }
template <class T> std::string list(const std::string &key, uint32_t type, const std::vector<T> &values) {
  std::string out = textBytes(key) + raw(uint32_t(9)) + raw(type) + raw(uint64_t(values.size()));
  for (const T &v : values)
    out += raw(v);
  return out;
}
inline std::string list(const std::string &key, const std::vector<std::string> &texts) {
  std::string out = textBytes(key) + raw(uint32_t(9)) + raw(uint32_t(8)) + raw(uint64_t(texts.size()));
  for (const std::string &t : texts)
    out += textBytes(t);
  return out;
}

inline std::string header(uint64_t tensors, const std::vector<std::string> &pairs) {
  std::string out = "GGUF" + raw(uint32_t(3)) + raw(tensors) + raw(uint64_t(pairs.size()));
  for (auto &p : pairs)
    out += p;
  return out;
}

} // namespace bigm::weights::test
