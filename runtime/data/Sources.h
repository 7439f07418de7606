// The kinds of source behind openTable: each fills a table's columns or throws Error. Private to this folder.
#pragma once
#include "Error.h"
#include "Files.h"
#include "Table.h"

namespace bigm::data {

struct SourceContext {
  const SourceSpec &spec;
  const std::string &dataDir;
  unsigned threads;
  const CutBy &cut;
};

void openIdx(const SourceContext &, Table &);
void openNpy(const SourceContext &, Table &);
void openCsv(const SourceContext &, Table &);
void openFolder(const SourceContext &, Table &);
void openTsv(const SourceContext &, Table &);
void openText(const SourceContext &, Table &);
void openLines(const SourceContext &, Table &);
void openJson(const SourceContext &, Table &);
void openJsonLines(const SourceContext &, Table &);
void openVoc(const SourceContext &, Table &);
void openCoco(const SourceContext &, Table &);
void openConll(const SourceContext &, Table &);

/// Values in memory.
class Resident : public Column {
public:
  Resident(std::vector<uint8_t> bytes, size_t each) : bytes(std::move(bytes)), each(each) {}
  void copy(int64_t record, uint8_t *to) const override;

private:
  std::vector<uint8_t> bytes;
  size_t each;
};

/// Numbers as a file holds them, before they become a field's values.
struct Numbers {
  /// Type in the file: kind is 'u', 'i', 'f' or 'b' and size in bytes, in the machine's order of bytes.
  char kind = 'u';
  int size = 1;
  std::vector<uint8_t> bytes;
};
/// Converts to the field's type without losing anything (f64 to f32 rounds). `where(i)` names element i for messages.
/// Checks class numbers. Throws Error when the types do not go together: numbers with a point into integers, or u8
/// pixels into an f32 field, which the program should say with `f32(x)`.
std::vector<uint8_t> toField(const Field &field, Numbers numbers, const std::string &file);

/// A picture that is not decoded yet: in a file, or in bytes of an archive.
struct PictureFile {
  std::string path;  // for messages, too
  std::string place; // names the record ("labels.csv:7: "), put in front of the decoder's message
  std::shared_ptr<const std::vector<uint8_t>> bytes; // null: they are in the file
};
/// A column of pictures: decoded now on `threads`, or on demand past kResidentLimit.
std::unique_ptr<Column> pictureColumn(const Field &field, std::vector<PictureFile> files, unsigned threads);

/// The path for a field: positional string number `position`, or the option with the field's name. Throws Error.
std::string fileFor(const SourceContext &, const Field &field, size_t position);

} // namespace bigm::data
