#include "frontend/onnx/Lengths.h"
#include <cstdint>
#include <google/protobuf/descriptor.h>
#include <optional>

namespace bigm::onnx {
namespace {
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

constexpr int deepest = 100; // as deep as protobuf reads

std::optional<uint64_t> varint(std::string_view &bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    uint8_t byte = uint8_t(bytes.front());
    bytes.remove_prefix(1);
    value |= uint64_t(byte & 0x7f) << shift;
    if (byte < 0x80)
      return value;
  }
  return std::nullopt;
}

bool fit(std::string_view bytes, const Descriptor *message, int depth) {
  if (depth > deepest)
    return false;
  while (!bytes.empty()) {
    auto tag = varint(bytes);
    if (!tag || *tag >> 3 == 0 || *tag >> 3 > INT32_MAX)
      return false;
    uint64_t length = 0;
    switch (*tag & 7) {
    case 0:
      if (!varint(bytes))
        return false;
      break;
    case 1:
      length = 8;
      break;
    case 2:
      if (auto said = varint(bytes))
        length = *said;
      else
        return false;
      break;
    case 5:
      length = 4;
      break;
    default: // groups: ONNX has none
      return false;
    }
    if (length > bytes.size())
      return false;
    const FieldDescriptor *field = (*tag & 7) == 2 && message ? message->FindFieldByNumber(int(*tag >> 3)) : nullptr;
    if (field && field->type() == FieldDescriptor::TYPE_MESSAGE && !fit(bytes.substr(0, length), field->message_type(), depth + 1))
      return false;
    bytes.remove_prefix(length);
  }
  return true;
}
} // namespace

bool lengthsFit(std::string_view bytes, const Descriptor &message) { return fit(bytes, &message, 0); }

} // namespace bigm::onnx
