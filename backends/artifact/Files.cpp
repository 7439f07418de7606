#include "Files.h"
#include "RuntimeHeaders.inc"
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fstream>

namespace bigm::artifact::files {

bool write(const std::string &path, const std::string &bytes, std::string &error) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (out)
    return true;
  error = fmt::format("cannot write `{}`: {}", path, std::strerror(errno));
  return false;
}

bool copy(const std::string &from, const std::string &to, std::string &error) {
  std::ifstream in(from, std::ios::binary);
  if (!in) {
    error = fmt::format("cannot read `{}`: {}", from, std::strerror(errno));
    return false;
  }
  std::ofstream out(to, std::ios::binary | std::ios::trunc);
  out << in.rdbuf();
  out.close();
  if (out)
    return true;
  error = fmt::format("cannot write `{}`: {}", to, std::strerror(errno));
  return false;
}

bool writeRuntimeHeaders(const std::string &folder, std::string &error) {
  for (const auto &[name, text] : kRuntimeHeaders)
    if (!write(folder + "/" + name, text, error))
      return false;
  return true;
}

} // namespace bigm::artifact::files
