#include "File.h"
#include "Failure.h"
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bigm::rt {

std::string systemError(int number) {
  char buffer[128];
  std::string text = strerror_r(number, buffer, sizeof buffer);
  // "No space left on device" stands in the middle of our sentences.
  if (text.size() > 1 && text[1] >= 'a')
    text[0] = char(tolower(text[0]));
  return text;
}

namespace {
/// A file that is closed and removed unless it was handed over.
struct Temporary {
  std::string path;
  int fd = -1;
  ~Temporary() {
    if (fd >= 0)
      close(fd);
    if (!path.empty())
      unlink(path.c_str());
  }
};
} // namespace

[[noreturn]] static void cannotWrite(const std::string &path, int number) {
  throw Failure(BIGM_ERROR_IO, "cannot write " + path + ": " + systemError(number));
}

void writeFile(const std::string &path, const std::vector<std::string_view> &pieces) {
  static std::atomic<unsigned> counter{0};
  Temporary file;
  std::string name = path + ".tmp-" + std::to_string(getpid()) + "-" + std::to_string(counter++);
  file.fd = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file.fd < 0)
    cannotWrite(path, errno);
  file.path = name;
  for (std::string_view piece : pieces)
    while (!piece.empty()) {
      // Linux writes at most 2 GiB at once.
      ssize_t done = write(file.fd, piece.data(), std::min<size_t>(piece.size(), 1u << 30));
      if (done < 0 && errno == EINTR)
        continue;
      if (done <= 0)
        cannotWrite(path, done < 0 ? errno : ENOSPC);
      piece.remove_prefix(size_t(done));
    }
  if (fsync(file.fd) != 0)
    cannotWrite(path, errno);
  int fd = file.fd;
  file.fd = -1;
  if (close(fd) != 0)
    cannotWrite(path, errno);
  if (rename(name.c_str(), path.c_str()) != 0)
    cannotWrite(path, errno);
  file.path.clear();
  // The rename itself is durable once the folder is; a system that cannot sync folders is no failure of the write.
  size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  if (int dir = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); dir >= 0) {
    (void)fsync(dir);
    close(dir);
  }
}

MappedFile::MappedFile(const std::string &path) {
  auto fail = [&](int number) {
    throw Failure(number == ENOENT || number == ENOTDIR ? BIGM_ERROR_NOT_FOUND : BIGM_ERROR_IO,
                  "cannot read " + path + ": " + systemError(number));
  };
  Temporary file;
  file.fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file.fd < 0)
    fail(errno);
  struct stat info;
  if (fstat(file.fd, &info) != 0)
    fail(errno);
  if (S_ISDIR(info.st_mode))
    fail(EISDIR);
  if (!S_ISREG(info.st_mode))
    throw Failure(BIGM_ERROR_IO, "cannot read " + path + ": it is no regular file");
  length = size_t(info.st_size);
  if (length == 0)
    return;
  void *mapped = mmap(nullptr, length, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (mapped == MAP_FAILED)
    fail(errno);
  begin = static_cast<const uint8_t *>(mapped);
}

MappedFile::~MappedFile() {
  if (begin)
    munmap(const_cast<uint8_t *>(begin), length);
}

} // namespace bigm::rt
