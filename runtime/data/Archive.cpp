#include "Archive.h"
#include "Error.h"
#include "Files.h"
#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <filesystem>

namespace bigm::data {
namespace fs = std::filesystem;

namespace {

/// No path that leaves the tree, whatever an archive says.
bool stays(const std::string &name) {
  fs::path path(name);
  return !path.is_absolute() && std::find(path.begin(), path.end(), "..") == path.end();
}

void readPacked(const std::string &path, uint64_t limit, std::map<std::string, FileTree::Bytes> &files) {
  std::unique_ptr<archive, int (*)(archive *)> in(archive_read_new(), archive_read_free);
  archive_read_support_filter_all(in.get());
  archive_read_support_format_tar(in.get());
  archive_read_support_format_zip(in.get());
  auto check = [&](int status) {
    if (status == ARCHIVE_OK || status == ARCHIVE_WARN)
      return;
    const char *why = archive_error_string(in.get());
    fail("{}: cannot be read as an archive (tar or zip): {}", path, why ? why : "it is cut or damaged");
  };
  check(archive_read_open_filename(in.get(), path.c_str(), 1 << 16));
  uint64_t total = 0;
  for (archive_entry *entry;;) {
    int status = archive_read_next_header(in.get(), &entry);
    if (status == ARCHIVE_EOF)
      break;
    check(status);
    const char *name = archive_entry_pathname(entry);
    if (archive_entry_filetype(entry) != AE_IFREG || !name || !stays(name))
      continue;
    // By what arrives, not by what the header promises.
    auto bytes = std::make_shared<std::vector<uint8_t>>();
    for (;;) {
      const void *block;
      size_t size;
      la_int64_t offset;
      int got = archive_read_data_block(in.get(), &block, &size, &offset);
      if (got == ARCHIVE_EOF)
        break;
      check(got);
      if (uint64_t(offset) + size > limit - total)
        fail("{}: holds more than {} MB unpacked; unpack it and name the folder", path, limit >> 20);
      bytes->resize(size_t(offset));
      bytes->insert(bytes->end(), static_cast<const uint8_t *>(block), static_cast<const uint8_t *>(block) + size);
    }
    total += bytes->size();
    files[fs::path(name).lexically_normal().generic_string()] = std::move(bytes);
  }
}

} // namespace

FileTree::FileTree(const std::string &path, uint64_t limit) : path(path) {
  std::error_code error;
  folder = fs::is_directory(path, error);
  if (folder) {
    for (fs::recursive_directory_iterator at(path, error), end; !error && at != end; at.increment(error))
      if (at->is_regular_file(error))
        names_.push_back(fs::relative(at->path(), path).generic_string());
    if (error)
      fail("{}: cannot be listed: {}", path, error.message());
    std::sort(names_.begin(), names_.end());
    return;
  }
  if (!fs::exists(path, error))
    fail("{}: there is no such file or folder", path);
  readPacked(path, limit, packed);
  for (auto &[name, bytes] : packed)
    names_.push_back(name);
}

std::string FileTree::find(const std::string &name) const {
  std::string found;
  for (auto &n : names_) {
    bool ends = n == name || (n.size() > name.size() && n.ends_with(name) && n[n.size() - name.size() - 1] == '/');
    if (!ends)
      continue;
    if (!found.empty())
      fail("{}: holds both {} and {}; name the folder that is meant", path, found, n);
    found = n;
  }
  return found;
}

FileTree::Bytes FileTree::read(const std::string &name) const {
  if (auto known = packed.find(name); known != packed.end())
    return known->second;
  return std::make_shared<const std::vector<uint8_t>>(InputFile(onDisk(name)).readAll(uint64_t(1) << 30));
}

std::string FileTree::title(const std::string &name) const { return path + "/" + name; }
std::string FileTree::onDisk(const std::string &name) const { return folder ? path + "/" + name : ""; }

} // namespace bigm::data
