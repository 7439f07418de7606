// Whether a message can be as long as it says, looked at before protobuf reads it.
//
// Protobuf makes room for a string as long as its prefix claims, up to 50 MB, before it finds that the file ends earlier: 58 bytes
// took 50 MB. Behind this check no claim reaches beyond the message that it stands in.
#pragma once
#include <string_view>

namespace google::protobuf {
class Descriptor;
}

namespace bigm::onnx {

/// Goes through the fields of a message and of those inside of it; false where one ends behind the bytes that there are, or where
/// they are no fields at all. Reads no contents.
bool lengthsFit(std::string_view bytes, const google::protobuf::Descriptor &message);

} // namespace bigm::onnx
