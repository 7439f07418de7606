// metrics.jsonl of a run.
#pragma once
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

namespace bigm::driver {

/// Streams one JSON object a line; knows its length, so that a resumed run continues where its checkpoint stood.
class MetricsFile {
public:
  /// Opens `path` with its first `keep` bytes, or as many as it has; throws with the path where it cannot be written.
  MetricsFile(const std::string &path, uint64_t keep);
  ~MetricsFile();
  MetricsFile(const MetricsFile &) = delete;
  MetricsFile &operator=(const MetricsFile &) = delete;

  void line(const nlohmann::ordered_json &value);
  /// Hands what was written to the system; returns the file's length in bytes.
  uint64_t flush();

private:
  [[noreturn]] void refuse() const;

  std::string path;
  std::FILE *file;
  uint64_t size;
};

} // namespace bigm::driver
