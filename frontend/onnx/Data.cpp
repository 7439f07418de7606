// See Data.h, and the types and sizes of tensors.
#include "frontend/onnx/Data.h"
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bigm::onnx {

static Bytes map(const std::string &path, const std::string &tensor) {
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat about = {};
  if (file < 0 || fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) {
    if (file >= 0)
      ::close(file);
    throw Malformed(fmt::format("tensor `{}` lies in `{}`, which cannot be opened", tensor, path));
  }
  size_t size = size_t(about.st_size);
  void *at = size ? mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0) : nullptr;
  ::close(file);
  if (at == MAP_FAILED)
    throw Malformed(fmt::format("tensor `{}` lies in `{}`, which cannot be read", tensor, path));
  std::shared_ptr<const void> owner(at, [size](const void *p) {
    if (size)
      munmap(const_cast<void *>(p), size);
  });
  return {owner, {static_cast<const char *>(at), size}};
}

Bytes DataFiles::part(const std::string &file, uint64_t offset, uint64_t length, const std::string &tensor) {
  std::filesystem::path path(file);
  bool leaves = file.empty() || path.is_absolute();
  for (auto &step : path)
    leaves |= step == "..";
  if (leaves)
    throw Malformed(fmt::format("tensor `{}` lies in the data file `{}`, and such files must be in the model's folder",
                                tensor, file));
  auto found = mapped.find(file);
  if (found == mapped.end())
    found = mapped.emplace(file, map(folder + "/" + file, tensor)).first;
  const Bytes &whole = found->second;
  if (offset > whole.view.size() || length > whole.view.size() - offset)
    throw Malformed(fmt::format("tensor `{}` lies at bytes {} to {} + {} of `{}`, which has {}", tensor, offset, offset,
                                length, file, whole.view.size()));
  return {whole.owner, whole.view.substr(offset, length)};
}

const char *name(Type type) {
  static const char *names[] = {"undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool",
                                "float16", "double", "uint32", "uint64", "complex64", "complex128", "bfloat16",
                                "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4",
                                "float4e2m1", "float8e8m0"};
  return size_t(type) < std::size(names) ? names[size_t(type)] : "of an unknown type";
}

unsigned bitsOf(Type type) {
  switch (type) {
  case Type::U4: case Type::I4: case Type::F4E2M1: return 4;
  case Type::U8: case Type::I8: case Type::Bool: case Type::F8E4M3FN: case Type::F8E4M3FNUZ: case Type::F8E5M2:
  case Type::F8E5M2FNUZ: case Type::F8E8M0: return 8;
  case Type::U16: case Type::I16: case Type::F16: case Type::BF16: return 16;
  case Type::F32: case Type::I32: case Type::U32: return 32;
  case Type::F64: case Type::I64: case Type::U64: case Type::Complex64: return 64;
  case Type::Complex128: return 128;
  default: return 0;
  }
}

std::optional<int64_t> countOf(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t size : shape) {
    if (size < 0)
      return std::nullopt;
    empty |= size == 0;
    if (size && __builtin_mul_overflow(count, size, &count))
      return std::nullopt;
  }
  return empty ? 0 : count;
}

} // namespace bigm::onnx
