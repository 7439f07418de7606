// What generated C++ headers lean on: errors as exceptions, and a view of numbers that a vector, an array or a pointer
// with a length turns into. C++17.
#ifndef BIGM_VIEW_HPP
#define BIGM_VIEW_HPP
#include "bigm.h"
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace bigm {

/// A call failed; `what()` is the runtime's text.
class Error : public std::runtime_error {
public:
  Error(bigm_status status, const std::string &text) : std::runtime_error(text), status_(status) {}
  bigm_status status() const { return status_; }

private:
  bigm_status status_;
};

inline void check(bigm_status status) {
  if (status != BIGM_OK)
    throw Error(status, bigm_last_error());
}

/// Numbers that somebody else owns, one after the other in memory.
template <class T> class View {
public:
  View(T *data, size_t size) : data_(data), size_(size) {}
  template <class Container, class = decltype(std::declval<const Container &>().data()),
            class = std::enable_if_t<std::is_same_v<
                std::remove_cv_t<std::remove_pointer_t<decltype(std::declval<const Container &>().data())>>,
                std::remove_cv_t<T>>>>
  View(const Container &container) : data_(container.data()), size_(container.size()) {}
  T *data() const { return data_; }
  size_t size() const { return size_; }

private:
  T *data_;
  size_t size_;
};

/// How many records of `record` numbers `size` numbers are; refuses what is none or does not divide.
inline int64_t batch_of(size_t size, int64_t record, const char *name, const char *shape) {
  if (size == 0 || record <= 0 || size % static_cast<size_t>(record) != 0)
    throw Error(BIGM_ERROR_SHAPE, std::string("`") + name + "` is " + shape + ", so it takes a multiple of " +
                                      std::to_string(record) + " numbers, and here it has " + std::to_string(size));
  return static_cast<int64_t>(size / static_cast<size_t>(record));
}
inline void expect_size(size_t size, int64_t expected, const char *name, const char *shape) {
  if (size != static_cast<size_t>(expected))
    throw Error(BIGM_ERROR_SHAPE, std::string("`") + name + "` is " + shape + ", so here it takes " +
                                      std::to_string(expected) + " numbers, and it has " + std::to_string(size));
}

} // namespace bigm
#endif
