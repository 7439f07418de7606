// Sources that are arrays: idx (the format of MNIST) and npy (NumPy's). One file a field, the first dimension counts
// records.
//
// idx: two zero bytes, a type code, the number of dimensions, each dimension as a big-endian 32-bit number, the
// elements big-endian. npy: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#include "Npy.h"
#include "Sources.h"
#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

namespace bigm::data {
namespace {

struct Array {
  Numbers numbers;
  std::vector<int64_t> shape;
};

/// Bytes of an array, or an error when a header promises more than 2^40.
uint64_t payload(const std::string &file, const std::vector<int64_t> &shape, int size) {
  uint64_t total = uint64_t(size);
  for (int64_t d : shape) {
    if (d < 0 || (d > 0 && total > (uint64_t(1) << 40) / uint64_t(d)))
      fail("{}: the header promises an array of {}, which is too large to be true", file, shapeText(shape));
    total *= uint64_t(d);
  }
  return total;
}

void swapBytes(Numbers &n) {
  for (size_t i = 0; i + n.size <= n.bytes.size(); i += n.size)
    std::reverse(n.bytes.begin() + i, n.bytes.begin() + i + n.size);
}

/// Nothing may follow the elements.
void expectEnd(InputFile &file, const std::vector<int64_t> &shape) {
  uint8_t more;
  if (file.read(&more, 1))
    fail("{}: bytes follow the {} elements that the header promises", file.path(), shapeText(shape));
}

Array readIdx(const std::string &path) {
  InputFile file(path);
  auto magic = file.readExactly(4, "the magic number of an idx file");
  struct Type {
    uint8_t code;
    char kind;
    int size;
  };
  static constexpr Type kTypes[] = {{8, 'u', 1}, {9, 'i', 1}, {11, 'i', 2}, {12, 'i', 4}, {13, 'f', 4}, {14, 'f', 8}};
  auto type = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const Type &t) { return t.code == magic[2]; });
  if (magic[0] || magic[1] || type == std::end(kTypes) || magic[3] == 0 || magic[3] > 8)
    fail("{}: expected an idx file (its first bytes 0, 0, a type, a number of dimensions), and it starts with {}, {}, "
         "{}, {}",
         path, magic[0], magic[1], magic[2], magic[3]);
  Array out;
  auto sizes = file.readExactly(4 * magic[3], "the dimensions of an idx file");
  for (int d = 0; d < magic[3]; ++d)
    out.shape.push_back(int64_t(sizes[4 * d]) << 24 | sizes[4 * d + 1] << 16 | sizes[4 * d + 2] << 8 | sizes[4 * d + 3]);
  out.numbers.kind = type->kind;
  out.numbers.size = type->size;
  out.numbers.bytes = file.readExactly(payload(path, out.shape, type->size),
                                       fmt::format("the {} elements of the header", shapeText(out.shape)));
  expectEnd(file, out.shape);
  if (type->size > 1)
    swapBytes(out.numbers);
  return out;
}

/// The text after `'key':` in a header's dictionary.
std::string_view valueOf(std::string_view header, std::string_view key, const std::string &path) {
  size_t at = header.find(key);
  if (at == header.npos || (at = header.find(':', at)) == header.npos)
    fail("{}: the npy header has no {}", path, key);
  header.remove_prefix(at + 1);
  header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
  return header;
}

Array readNpy(const std::string &path) {
  InputFile file(path);
  auto magic = file.readExactly(8, "the magic number of an npy file");
  if (std::memcmp(magic.data(), "\x93NUMPY", 6) != 0 || magic[6] < 1 || magic[6] > 3)
    fail("{}: expected an npy file of version 1 to 3, and it does not start as one", path);
  auto size = file.readExactly(magic[6] == 1 ? 2 : 4, "the npy header's length");
  uint64_t length = size[0] | size[1] << 8;
  if (size.size() == 4)
    length |= uint64_t(size[2]) << 16 | uint64_t(size[3]) << 24;
  if (length > 1 << 20)
    fail("{}: the npy header is {} bytes long; expected at most a megabyte", path, length);
  auto raw = file.readExactly(length, "the npy header");
  std::string_view header(reinterpret_cast<const char *>(raw.data()), raw.size());
  Array out;
  auto type = valueOf(header, "'descr'", path);
  if (type.size() < 5 || type[0] != '\'' || !std::strchr("<>|=", type[1]) || !std::strchr("uifb", type[2]))
    fail("{}: the npy file's type is {}; expected integers, floats or bool", path, type.substr(0, type.find(',')));
  out.numbers.kind = type[2];
  out.numbers.size = type[3] - '0';
  bool known = type[4] == '\'' && (out.numbers.kind == 'f' ? out.numbers.size == 4 || out.numbers.size == 8
                                   : out.numbers.kind == 'b' ? out.numbers.size == 1
                                                             : out.numbers.size == 1 || out.numbers.size == 2 ||
                                                                   out.numbers.size == 4 || out.numbers.size == 8);
  if (!known)
    fail("{}: the npy file's type is {}; expected integers, f4, f8 or bool", path, type.substr(0, type.find(',')));
  if (valueOf(header, "'fortran_order'", path).substr(0, 5) != "False")
    fail("{}: the npy file is in Fortran order; save it with numpy.ascontiguousarray", path);
  auto shape = valueOf(header, "'shape'", path);
  size_t close = shape.find(')');
  if (shape.empty() || shape[0] != '(' || close == shape.npos)
    fail("{}: the npy header's shape cannot be read", path);
  const char *at = shape.data() + 1, *end = shape.data() + close;
  while (at < end) {
    if (*at == ' ' || *at == ',') {
      ++at;
      continue;
    }
    int64_t d = 0;
    auto [next, error] = std::from_chars(at, end, d);
    if (error != std::errc() || d < 0 || out.shape.size() == 16)
      fail("{}: the npy header's shape cannot be read", path);
    out.shape.push_back(d);
    at = next;
  }
  out.numbers.bytes = file.readExactly(payload(path, out.shape, out.numbers.size),
                                       fmt::format("the {} elements of the header", shapeText(out.shape)));
  expectEnd(file, out.shape);
  if (type[1] == '>' && out.numbers.size > 1)
    swapBytes(out.numbers);
  return out;
}

void openArrays(const SourceContext &context, Table &table, Array (*read)(const std::string &)) {
  if (context.spec.strings.size() > table.fields.size())
    fail("`{}` names {} files, and the record has {} field{}: expected one file for each", context.spec.name,
         context.spec.strings.size(), table.fields.size(), table.fields.size() == 1 ? "" : "s");
  std::string firstFile;
  for (size_t i = 0; i < table.fields.size(); ++i) {
    const Field &field = table.fields[i];
    std::string path = fileFor(context, field, i);
    Array array = read(path);
    if (array.shape.empty())
      fail("{}: holds a single number; expected an array whose first dimension counts the records", path);
    std::vector<int64_t> record(array.shape.begin() + 1, array.shape.end());
    // [28, 28] and [1, 28, 28] are the same bytes.
    auto squeezed = [](std::vector<int64_t> s) {
      std::erase(s, 1);
      return s;
    };
    if (squeezed(record) != squeezed(field.shape))
      fail("{}: its records have the shape {}, and the field `{}` is {}", path, shapeText(record), field.name,
           field.typeText());
    if (i == 0) {
      table.count = array.shape[0];
      firstFile = path;
    } else if (array.shape[0] != table.count) {
      fail("{}: holds {} records, and {} holds {}", path, array.shape[0], firstFile, table.count);
    }
    table.columns[i] = std::make_unique<Resident>(toField(field, std::move(array.numbers), path),
                                                  size_t(product(field.shape)) * sizeOf(field.elem));
  }
  if (table.count == 0)
    fail("{}: holds no record", firstFile);
}

} // namespace

void openIdx(const SourceContext &context, Table &table) { openArrays(context, table, readIdx); }
void openNpy(const SourceContext &context, Table &table) { openArrays(context, table, readNpy); }

Tensor readNpyTensor(const std::string &path) {
  Array array = readNpy(path);
  struct Type {
    char kind;
    int size;
    Elem elem;
  };
  for (Type t : {Type{'f', 4, Elem::F32}, Type{'f', 8, Elem::F64}, Type{'u', 1, Elem::U8}, Type{'i', 1, Elem::I8},
                 Type{'i', 4, Elem::I32}, Type{'i', 8, Elem::I64}, Type{'b', 1, Elem::Bool}})
    if (t.kind == array.numbers.kind && t.size == array.numbers.size) {
      Tensor out(t.elem, array.shape);
      std::memcpy(out.bytes.data(), array.numbers.bytes.data(), out.bytes.size());
      return out;
    }
  fail("{}: holds {}{}; expected u8, i8, i32, i64, f32, f64 or bool", path, array.numbers.kind, array.numbers.size * 8);
}

} // namespace bigm::data
