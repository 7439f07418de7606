// The files of a folder, or of an archive (tar, zip, compressed or not), by their paths in it.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace bigm::data {

class FileTree {
public:
  using Bytes = std::shared_ptr<const std::vector<uint8_t>>;
  /// `path` is a folder or an archive, whose files are read now: together at most `limit` bytes. Throws Error.
  explicit FileTree(const std::string &path, uint64_t limit = uint64_t(2) << 30);

  /// The paths in it, `/` between folders, in their order.
  const std::vector<std::string> &names() const { return names_; }
  /// The path of a file whose path in the tree is `name` or ends with `/name`; empty when there is none. Throws Error when
  /// there are several.
  std::string find(const std::string &name) const;
  /// The bytes of a file of the tree; from a folder they are read at every call. Throws Error.
  Bytes read(const std::string &name) const;
  /// What messages call a file.
  std::string title(const std::string &name) const;
  /// The path on disk where the tree is a folder; empty otherwise.
  std::string onDisk(const std::string &name) const;

private:
  std::string path;
  bool folder = false;
  std::vector<std::string> names_;
  std::map<std::string, Bytes> packed;
};

} // namespace bigm::data
