#include "MetricsFile.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

namespace bigm::driver {

MetricsFile::MetricsFile(const std::string &path, uint64_t keep) : path(path) {
  file = std::fopen(path.c_str(), keep ? "r+b" : "wb");
  if (!file && keep)
    file = std::fopen(path.c_str(), "wb"), keep = 0;
  if (!file)
    refuse();
  struct stat info;
  if (keep && ::fstat(::fileno(file), &info) == 0)
    keep = std::min<uint64_t>(keep, uint64_t(info.st_size));
  if (::ftruncate(::fileno(file), off_t(keep)) != 0 || std::fseek(file, 0, SEEK_END) != 0)
    refuse();
  size = keep;
}

MetricsFile::~MetricsFile() { std::fclose(file); }

void MetricsFile::line(const nlohmann::ordered_json &value) {
  std::string text = value.dump() + "\n";
  if (std::fwrite(text.data(), 1, text.size(), file) != text.size())
    refuse();
  size += text.size();
}

uint64_t MetricsFile::flush() {
  if (std::fflush(file) != 0)
    refuse();
  return size;
}

void MetricsFile::refuse() const { data::fail("{}: cannot be written: {}", path, std::strerror(errno)); }

} // namespace bigm::driver
