// Plain and gzip files behind one stream, and the one way in which the runtime writes a file.
//
// zlib's own gzFile hides the difference between a truncated and a finished stream until close; inflate is called
// directly so that a cut file, a flipped bit and trailing rubbish are three different messages.
#include "Files.h"
#include "Error.h"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

namespace bigm::data {

struct InputFile::State {
  std::string path;
  int fd = -1;
  bool gzip = false, ended = false;
  z_stream z{};
  uint8_t buffer[1 << 16];
  size_t at = 0, filled = 0;

  size_t refill() {
    at = 0;
    ssize_t got;
    do
      got = ::read(fd, buffer, sizeof buffer);
    while (got < 0 && errno == EINTR);
    if (got < 0)
      fail("{}: cannot be read: {}", path, std::strerror(errno));
    return filled = size_t(got);
  }

  size_t inflateInto(uint8_t *to, size_t size) {
    z.next_out = to;
    z.avail_out = uInt(std::min<size_t>(size, 1u << 30));
    size_t wanted = z.avail_out;
    while (z.avail_out > 0 && !ended) {
      if (at == filled && refill() == 0)
        fail("{}: the gzip stream stops in the middle; expected a whole file (copy it again)", path);
      z.next_in = buffer + at;
      z.avail_in = uInt(filled - at);
      int result = inflate(&z, Z_NO_FLUSH);
      at = filled - z.avail_in;
      if (result == Z_STREAM_END) {
        // A gzip file may be several streams one after the other.
        if (at == filled && refill() == 0)
          ended = true;
        else if (buffer[at] == 0x1f)
          inflateReset(&z);
        else
          fail("{}: bytes that are no gzip stream follow the end of the gzip stream", path);
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        fail("{}: corrupt gzip data: {}", path, z.msg ? z.msg : "unknown reason");
      }
    }
    return wanted - z.avail_out;
  }
};

InputFile::InputFile(const std::string &path) : state(std::make_unique<State>()) {
  state->path = path;
  struct stat info;
  if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    fail("{}: is a folder; expected a file", path);
  state->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (state->fd < 0)
    fail("{}: {}", path, errno == ENOENT ? "there is no such file" : std::strerror(errno));
  state->refill();
  if (state->filled >= 2 && state->buffer[0] == 0x1f && state->buffer[1] == 0x8b) {
    state->gzip = true;
    if (inflateInit2(&state->z, 15 + 16) != Z_OK)
      fail("{}: not enough memory to undo gzip", path);
  }
}

InputFile::~InputFile() {
  if (!state)
    return;
  if (state->gzip)
    inflateEnd(&state->z);
  if (state->fd >= 0)
    ::close(state->fd);
}

InputFile::InputFile(InputFile &&) noexcept = default;

const std::string &InputFile::path() const { return state->path; }

size_t InputFile::read(void *to, size_t size) {
  auto *out = static_cast<uint8_t *>(to);
  size_t done = 0;
  while (done < size) {
    size_t got;
    if (state->gzip) {
      got = state->inflateInto(out + done, size - done);
    } else {
      if (state->at == state->filled && state->refill() == 0)
        break;
      got = std::min(size - done, state->filled - state->at);
      std::memcpy(out + done, state->buffer + state->at, got);
      state->at += got;
    }
    if (got == 0)
      break;
    done += got;
  }
  return done;
}

std::vector<uint8_t> InputFile::readExactly(uint64_t size, const std::string &what) {
  std::vector<uint8_t> bytes;
  while (bytes.size() < size) {
    size_t step = std::min<uint64_t>(size - bytes.size(), std::max<uint64_t>(bytes.size(), 1 << 20));
    size_t old = bytes.size();
    bytes.resize(old + step);
    size_t got = read(bytes.data() + old, step);
    if (got < step)
      fail("{}: ends after {} bytes; expected {} ({} bytes)", path(), old + got, what, size);
  }
  return bytes;
}

std::vector<uint8_t> InputFile::readAll(uint64_t limit) {
  std::vector<uint8_t> bytes;
  for (;;) {
    size_t step = std::max<size_t>(bytes.size(), 1 << 16);
    size_t old = bytes.size();
    bytes.resize(old + step);
    size_t got = read(bytes.data() + old, step);
    bytes.resize(old + got);
    if (bytes.size() > limit)
      fail("{}: is larger than the {} bytes allowed here", path(), limit);
    if (got < step)
      return bytes;
  }
}

std::string readText(const std::string &path, uint64_t limit) {
  auto bytes = InputFile(path).readAll(limit);
  std::string_view text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  // What Windows programs write first: a mark that says UTF-8 is no part of the text.
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    fail("{}: is UTF-16, and text is read as UTF-8; convert it, as by `iconv -f UTF-16 -t UTF-8`", path);
  return std::string(text.starts_with("\xEF\xBB\xBF") ? text.substr(3) : text);
}

std::vector<std::string_view> linesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    if (lines.back().ends_with('\r'))
      lines.back().remove_suffix(1);
    at = end + 1;
  }
  return lines;
}

std::string under(const std::string &folder, const std::string &name) {
  if (folder.empty() || (!name.empty() && name[0] == '/'))
    return name;
  return (std::filesystem::path(folder) / name).string();
}

void writeAtomically(const std::string &path, const void *bytes, size_t size) {
  std::string temp = path + ".tmp";
  auto give_up = [&](int fd, const char *verb) {
    int reason = errno;
    if (fd >= 0)
      ::close(fd);
    ::unlink(temp.c_str());
    fail("{}: cannot be {}: {}", path, verb, std::strerror(reason));
  };
  int fd = ::open(temp.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0)
    give_up(fd, "created");
  const char *at = static_cast<const char *>(bytes);
  for (size_t left = size; left > 0;) {
    ssize_t put = ::write(fd, at, left);
    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      give_up(fd, "written");
    at += put;
    left -= size_t(put);
  }
  if (::fsync(fd) != 0 && errno != EINVAL)
    give_up(fd, "written");
  if (::close(fd) != 0)
    give_up(-1, "written");
  if (::rename(temp.c_str(), path.c_str()) != 0)
    give_up(-1, "renamed into place");
}

} // namespace bigm::data
