// Writing files with errors that name the file.
#pragma once
#include <string>

namespace bigm::artifact {

namespace files {
bool write(const std::string &path, const std::string &bytes, std::string &error);
bool copy(const std::string &from, const std::string &to, std::string &error);
/// The runtime's public headers, which travel inside bigmc.
bool writeRuntimeHeaders(const std::string &folder, std::string &error);
} // namespace files

} // namespace bigm::artifact
