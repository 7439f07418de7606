// What generated C++ headers lean on for flows: pictures, boxes, points and classes as values, and a reader of what a flow
// gave. C++17.
#ifndef BIGM_FLOW_HPP
#define BIGM_FLOW_HPP
#include "flow.h"
#include "view.hpp"
#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bigm {

/// A picture on its way into a flow, or out of one. What it is made of is not copied: it must outlive the call.
class Image {
public:
  Image() = default;
  /// A PNG or JPEG file.
  static Image file(std::string path) {
    Image image;
    image.path_ = std::move(path);
    return image;
  }
  /// The bytes of a PNG or JPEG file.
  static Image encoded(const void *bytes, size_t size) {
    Image image;
    image.bytes_ = bytes;
    image.size_ = size;
    return image;
  }
  /// Pixels side by side, `channels` 1 (grey) or 3 (red, green, blue); `stride`: bytes from row to row, 0 without gaps.
  static Image pixels(const uint8_t *pixels, int height, int width, int channels = 3, int64_t stride = 0) {
    Image image;
    image.pixels_ = pixels;
    image.height_ = height;
    image.width_ = width;
    image.channels_ = channels;
    image.stride_ = stride;
    return image;
  }
  void give(bigm_flow *flow, const char *input) const {
    if (pixels_)
      check(bigm_flow_give_pixels(flow, input, pixels_, height_, width_, channels_, stride_));
    else if (bytes_)
      check(bigm_flow_give_encoded(flow, input, bytes_, size_));
    else
      check(bigm_flow_give_file(flow, input, path_.c_str()));
  }

private:
  std::string path_;
  const void *bytes_ = nullptr;
  const uint8_t *pixels_ = nullptr;
  size_t size_ = 0;
  int height_ = 0, width_ = 0, channels_ = 0;
  int64_t stride_ = 0;
};

/// A picture that a flow gave: planes one after the other, u8[channels, height, width].
struct Picture {
  int channels = 0, height = 0, width = 0;
  std::vector<uint8_t> planes;
};
/// In pixels of the picture; an edge of a pixel is a whole number.
struct Box {
  float left = 0, top = 0, right = 0, bottom = 0;
  float width() const { return right - left; }
  float height() const { return bottom - top; }
};
struct Point {
  float x = 0, y = 0;
};
/// A class; `name` is empty where the program gives it none.
struct Label {
  int32_t id = 0;
  std::string_view name;
  operator std::string_view() const { return name; }
};

/// A record of several that was not answered.
struct Failed {
  size_t record = 0; // its place among those that were given
  std::string why;
};

/// Who is told of a text as it is written: pieces of the text of each record. False ends that text.
using Told = std::function<bool(int64_t record, std::string_view piece)>;

/// A flow with its records and what it gave for them.
class FlowHandle {
public:
  FlowHandle(const bigm_module *module, bigm_model *model, bigm_context *context, const char *name, const char *share) {
    check(bigm_flow_create(module, model, context, name, share, &flow_));
  }
  ~FlowHandle() { bigm_flow_destroy(flow_); }
  FlowHandle(const FlowHandle &) = delete;
  FlowHandle &operator=(const FlowHandle &) = delete;
  bigm_flow *get() const { return flow_; }

  void give(const char *input, const Image &image) { image.give(flow_, input); }
  void give(const char *input, const std::string &text) { check(bigm_flow_give_text(flow_, input, text.data(), text.size())); }
  template <class T> void give(const char *input, View<const T> values, const int64_t *sizes, int32_t rank) {
    int64_t count = 1;
    for (int32_t d = 0; d < rank; ++d)
      count *= sizes[d];
    if (int64_t(values.size()) != count)
      throw Error(BIGM_ERROR_SHAPE, std::string("`") + input + "` takes " + std::to_string(count) + " numbers, and here are " +
                                        std::to_string(values.size()));
    check(bigm_flow_give_array(flow_, input, values.data(), sizes, rank));
  }
  /// Numbers that lie one after the other in a value: a float, a Box, an array of them.
  template <class T> void give_plain(const char *input, const T &value, const int64_t *sizes, int32_t rank) {
    check(bigm_flow_give_array(flow_, input, &value, sizes, rank));
  }
  void element(const char *list) { check(bigm_flow_element(flow_, list)); }
  void record() { check(bigm_flow_record(flow_)); }
  void run() { check(bigm_flow_run(flow_)); }
  void clear() { bigm_flow_clear(flow_); }
  /// Runs and tells of pieces of the texts that are written, with their record's number; `told` returns false to end that text.
  /// What it throws ends all of them and comes out of here.
  void run(const Told &told) {
    Listening listening{&told, nullptr};
    check(bigm_flow_stream(flow_, &Listening::hear, &listening));
    bigm_status status = bigm_flow_run(flow_);
    bigm_flow_stream(flow_, nullptr, nullptr);
    if (listening.thrown)
      std::rethrow_exception(listening.thrown);
    check(status);
  }

  /// Gives every record, and reads what each got.
  template <class Record, class Give, class Read> auto all(View<const Record> records, Give give, Read read, const Told *told = nullptr) {
    clear();
    std::vector<decltype(read(int64_t(0)))> results;
    if (records.size() == 0)
      return results;
    for (size_t i = 0; i < records.size(); ++i) {
      give(records.data()[i]);
      record();
    }
    told ? run(*told) : run();
    for (size_t i = 0; i < records.size(); ++i)
      results.push_back(read(int64_t(i)));
    return results;
  }
  /// The same; records that fail are missing among the results and told in `failed`, the others are answered.
  template <class Record, class Give, class Read>
  auto each(View<const Record> records, Give give, Read read, std::vector<Failed> &failed) {
    std::vector<std::optional<decltype(read(int64_t(0)))>> results(records.size());
    failed.clear();
    clear();
    std::vector<size_t> given;
    auto giveOne = [&](size_t i) {
      try {
        give(records.data()[i]);
        record();
        return true;
      } catch (const Error &e) {
        bigm_flow_drop(flow_);
        failed.push_back({i, e.what()});
        return false;
      }
    };
    for (size_t i = 0; i < records.size(); ++i)
      if (giveOne(i))
        given.push_back(i);
    if (given.empty())
      return results;
    try {
      run();
      for (size_t row = 0; row < given.size(); ++row)
        results[given[row]] = read(int64_t(row));
    } catch (const Error &) {
      for (size_t i : given) { // one of them is why: each alone
        clear();
        if (!giveOne(i))
          continue;
        try {
          run();
          results[i] = read(0);
        } catch (const Error &e) {
          failed.push_back({i, e.what()});
        }
      }
      std::sort(failed.begin(), failed.end(), [](const Failed &a, const Failed &b) { return a.record < b.record; });
    }
    return results;
  }

  // What stands in a slot at a row.
  template <class T> const T *row(const char *slot, int64_t i, size_t *count = nullptr) const {
    bigm_array array;
    check(bigm_flow_array(flow_, slot, &array));
    int64_t each = 1;
    for (int32_t d = 1; d < array.rank; ++d)
      each *= array.sizes[d];
    if (i < 0 || i >= array.sizes[0])
      throw Error(BIGM_ERROR_ARGUMENT, std::string("`") + slot + "` has no row " + std::to_string(i));
    if (count)
      *count = size_t(each);
    return static_cast<const T *>(array.data) + i * each;
  }
  template <class T> T number(const char *slot, int64_t i) const { return *row<T>(slot, i); }
  bool boolean(const char *slot, int64_t i) const { return *row<uint8_t>(slot, i) != 0; }
  template <class T> std::vector<T> numbers(const char *slot, int64_t i) const {
    size_t count = 0;
    const T *first = row<T>(slot, i, &count);
    return {first, first + count};
  }
  /// Values that are numbers one after the other: Box, Point.
  template <class T> T plain(const char *slot, int64_t i) const {
    T value;
    std::memcpy(static_cast<void *>(&value), row<float>(slot, i), sizeof value);
    return value;
  }
  template <class T> std::vector<T> plains(const char *slot, int64_t i) const {
    size_t count = 0;
    const float *first = row<float>(slot, i, &count);
    std::vector<T> values(count / (sizeof(T) / sizeof(float)));
    if (!values.empty())
      std::memcpy(static_cast<void *>(values.data()), first, values.size() * sizeof(T));
    return values;
  }
  template <class T, size_t N> std::array<T, N> fixed(const char *slot, int64_t i) const {
    std::array<T, N> values;
    size_t count = 0;
    const void *first = row<std::conditional_t<(sizeof(T) > 8 || std::is_class_v<T>), float, T>>(slot, i, &count);
    std::memcpy(static_cast<void *>(values.data()), first, sizeof values);
    return values;
  }
  Label label(const char *slot, int64_t i, View<const std::string_view> names) const {
    int32_t id = *row<int32_t>(slot, i);
    return {id, id >= 0 && size_t(id) < names.size() ? names.data()[id] : std::string_view()};
  }
  std::string text(const char *slot, int64_t i) const {
    const char *text = nullptr;
    uint64_t size = 0;
    check(bigm_flow_text(flow_, slot, i, &text, &size));
    return {text, size_t(size)};
  }
  Picture picture(const char *slot, int64_t i) const {
    Picture p;
    const uint8_t *planes = nullptr;
    check(bigm_flow_image(flow_, slot, i, &planes, &p.channels, &p.height, &p.width));
    p.planes.assign(planes, planes + int64_t(p.channels) * p.height * p.width);
    return p;
  }
  template <class Read> auto list(const char *numbers, int64_t i, Read read) const {
    int64_t first = 0, last = 0;
    check(bigm_flow_rows(flow_, numbers, i, &first, &last));
    std::vector<decltype(read(first))> values;
    values.reserve(size_t(last - first));
    for (; first < last; ++first)
      values.push_back(read(first));
    return values;
  }
  template <class Read> auto optional(const char *numbers, int64_t i, Read read) const {
    int64_t first = 0, last = 0;
    check(bigm_flow_rows(flow_, numbers, i, &first, &last));
    return first < last ? std::optional(read(first)) : std::nullopt;
  }
  std::string json(int64_t record) const {
    const char *text = nullptr;
    check(bigm_flow_json(flow_, record, &text));
    return text;
  }

private:
  struct Listening {
    const Told *told;
    std::exception_ptr thrown;
    static int32_t hear(void *self, int64_t record, const char *piece, uint64_t size) noexcept {
      auto &own = *static_cast<Listening *>(self);
      if (own.thrown)
        return 0;
      try {
        return (*own.told)(record, {piece, size_t(size)});
      } catch (...) {
        own.thrown = std::current_exception();
        return 0;
      }
    }
  };
  bigm_flow *flow_ = nullptr;
};

} // namespace bigm
#endif
