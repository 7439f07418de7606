// Reading a tokenizer's JSON: what is not as it must be is named by its path in the file.
#pragma once
#include "Error.h"
#include <cstdint>
#include <nlohmann/json.hpp>

namespace bigm::text {
using Json = nlohmann::json; // sorted: a vocabulary is an object of 100,000 members

/// A value of the file and the way to it: "tokenizer.json: normalizer.normalizers[1].prepend".
class Settings {
public:
  Settings(const Json &value, std::string path) : value(&value), path(std::move(path)) {}

  [[noreturn]] void fail(const std::string &what) const { throw Error(path + ": " + what); }

  bool isNull() const { return value->is_null(); }
  bool isObject() const { return value->is_object(); }
  bool isArray() const { return value->is_array(); }
  bool isText() const { return value->is_string(); }
  bool has(const char *name) const { return value->is_object() && value->contains(name) && !(*value)[name].is_null(); }
  /// A member; null where there is none.
  Settings operator[](const char *name) const {
    static const Json none;
    if (!value->is_object())
      fail("expected an object, and it is " + seen());
    auto at = value->find(name);
    return {at == value->end() ? none : *at, path + "." + name};
  }
  size_t count() const {
    if (!value->is_array())
      fail("expected a list, and it is " + seen());
    return value->size();
  }
  Settings at(size_t i) const { return {(*value)[i], path + "[" + std::to_string(i) + "]"}; }

  const std::string &text() const {
    if (!value->is_string())
      fail("expected a string, and it is " + seen());
    return value->get_ref<const std::string &>();
  }
  bool flag() const {
    if (!value->is_boolean())
      fail("expected true or false, and it is " + seen());
    return value->get<bool>();
  }
  bool flag(const char *name, bool otherwise) const { return has(name) ? (*this)[name].flag() : otherwise; }
  /// A whole number of 0 to `most`.
  int64_t whole(int64_t most) const {
    if (!value->is_number_integer() || (value->is_number_unsigned() ? value->get<uint64_t>() > uint64_t(most)
                                                                      : value->get<int64_t>() < 0 || value->get<int64_t>() > most))
      fail("expected a whole number of 0 to " + std::to_string(most) + ", and it is " + seen());
    return value->get<int64_t>();
  }
  double number() const {
    if (!value->is_number())
      fail("expected a number, and it is " + seen());
    return value->get<double>();
  }
  /// A string of one character.
  std::string character() const {
    const std::string &s = text();
    if (s.empty() || s.size() > 4 || (uint8_t(s[0]) < 0x80 && s.size() > 1))
      fail("expected one character, and it is " + seen());
    return s;
  }
  /// The value in few characters, for messages.
  std::string seen() const {
    if (value->is_object())
      return "an object";
    if (value->is_array())
      return "a list of " + std::to_string(value->size());
    std::string s = value->dump(-1, ' ', false, Json::error_handler_t::replace);
    return s.size() > 60 ? s.substr(0, 60) + "..." : s;
  }
  /// "type" of an object.
  const std::string &type() const { return (*this)["type"].text(); }

  const Json *value;
  std::string path;
};

} // namespace bigm::text
