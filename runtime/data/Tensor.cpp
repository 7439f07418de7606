#include "Tensor.h"
#include <fmt/ranges.h>

namespace bigm::data {
namespace {
struct Row {
  const char *name;
  size_t size;
};
constexpr Row kElems[] = {{"f32", 4}, {"f64", 8}, {"bf16", 2}, {"f16", 2}, {"i64", 8},
                          {"i32", 4}, {"u8", 1},  {"i8", 1},   {"bool", 1}};
} // namespace

size_t sizeOf(Elem e) { return kElems[int(e)].size; }
const char *name(Elem e) { return kElems[int(e)].name; }
std::optional<Elem> elemNamed(std::string_view name) {
  for (int i = 0; i < int(std::size(kElems)); ++i)
    if (name == kElems[i].name)
      return Elem(i);
  return std::nullopt;
}

Tensor::Tensor(Elem elem, std::vector<int64_t> s) : elem(elem), shape(std::move(s)) {
  bytes.resize(size_t(product(shape)) * sizeOf(elem));
}
int64_t Tensor::count() const { return product(shape); }

int64_t product(const std::vector<int64_t> &shape) {
  int64_t n = 1;
  for (int64_t d : shape)
    n *= d;
  return n;
}
std::string shapeText(const std::vector<int64_t> &shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

} // namespace bigm::data
