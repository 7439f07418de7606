// A folder for one test and ways to fill it.
#pragma once
#include "runtime/data/Error.h"
#include "runtime/data/Picture.h"
#include "runtime/data/Table.h"
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

namespace bigm::data {

struct InFolder : testing::Test {
  std::string dir;
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "bigm-data-XXXXXX").string();
    dir = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(dir); }

  std::string path(const std::string &name) const { return dir + "/" + name; }
  void write(const std::string &name, const std::string &bytes) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << bytes;
  }
  void writePicture(const std::string &name, int channels, int height, int width, uint8_t value = 7) const {
    auto png = encodePng({channels, height, width, Bytes(size_t(channels) * height * width, value)});
    write(name, std::string(png.begin(), png.end()));
  }
  Table open(const SourceSpec &spec, const std::vector<Field> &fields, unsigned threads = 1) const {
    return openTable("d", spec, fields, dir, threads);
  }
  /// The message that opening gives; empty when it opens.
  std::string error(const SourceSpec &spec, const std::vector<Field> &fields, unsigned threads = 1) const {
    try {
      open(spec, fields, threads);
      return "";
    } catch (const Error &e) {
      return e.what();
    }
  }
};

inline std::string gzip(const std::string &bytes) {
  z_stream z{};
  deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(bytes.size() + 100, '\0');
  z.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(bytes.data()));
  z.avail_in = uInt(bytes.size());
  z.next_out = reinterpret_cast<Bytef *>(out.data());
  z.avail_out = uInt(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

inline Field tensor(const std::string &name, Elem elem, std::vector<int64_t> shape = {}) {
  Field f;
  f.name = name;
  f.elem = elem;
  f.shape = std::move(shape);
  return f;
}
inline Field label(const std::string &name, int64_t classes, std::vector<std::string> labels = {}) {
  Field f;
  f.name = name;
  f.kind = "label";
  f.elem = Elem::I32;
  f.classes = classes;
  f.labels = std::move(labels);
  return f;
}
template <class T> std::vector<T> values(const Batch &batch, const std::string &field) {
  const Tensor &t = batch.fields.at(field);
  return {t.as<T>(), t.as<T>() + t.count()};
}
inline Batch all(const Table &table) {
  std::vector<int64_t> records(static_cast<size_t>(table.count));
  for (int64_t i = 0; i < table.count; ++i)
    records[size_t(i)] = i;
  return table.batch(records.data(), table.count);
}

} // namespace bigm::data
