// Where records come from: one table for each `data` declaration and source, typed by the program's fields.
//
// A table is checked as it is opened: shapes, counts, class numbers and every picture (unless the pictures together
// exceed a gibibyte; those are decoded when a batch needs them). So training does not start on data that would stop it.
#pragma once
#include "Tensor.h"
#include <functional>
#include <memory>
#include <span>
#include <variant>

namespace bigm::data {

/// A field of a record as the manifest says it.
struct Field {
  std::string name;
  std::string kind = "tensor"; // "tensor", "label", "image", "text", "photo" (a picture of any size), "list"
  Elem elem = Elem::F32;
  std::vector<int64_t> shape; // of one record
  int64_t classes = 0;        // > 0 for labels: values are 0 .. classes-1
  std::vector<std::string> labels;
  std::string meaning = {};   // "box", "point", "score", or nothing
  std::vector<Field> parts = {}; // of a list's elements: numbers, classes and texts
  std::optional<std::string> missing = {}; // what stands where the data has nothing, as a file would write it; of a list ""

  bool isList() const { return kind == "list"; }
  bool isPhoto() const { return kind == "photo"; }
  bool isLabel() const { return kind == "label" || classes > 0; }
  bool isText() const { return kind == "text"; }
  /// Pictures are u8[H, W], u8[1, H, W] or u8[3, H, W].
  bool isPicture() const;
  /// Read from files of pictures: pixels of a fixed size, or pictures of any size.
  bool isFromPictures() const { return isPhoto() || isPicture(); }
  std::string typeText() const; // "u8[3, 48, 48]", "label[10]"
};

/// The fields that are classes, those in lists among them, with their names: `kind`, `things.kind`.
std::vector<std::pair<std::string, Field *>> classesOf(std::vector<Field> &fields);

/// `idx("a.gz", "b.gz")`, as the manifest's `from` and `test` say it.
struct SourceSpec {
  std::string name;
  std::vector<std::string> strings;
  std::map<std::string, std::variant<double, std::string>> options;

  bool has(const std::string &option) const { return options.count(option) > 0; }
  /// An option's text or number; nothing where it is not there. Throws Error where it is of the other kind.
  std::optional<std::string> text(const std::string &option) const;
  std::optional<double> number(const std::string &option) const;
};

/// A text cut into tokens: the bytes that each stands for, and their ids where these do not depend on what stands around.
struct CutText {
  std::vector<std::pair<uint32_t, uint32_t>> spans;
  std::vector<int32_t> ids; // empty: cut again, a window has the same tokens
};
/// Cuts by the tokenizer of this name. Throws Error.
using CutBy = std::function<CutText(const std::string &tokenizer, const std::string &text)>;

/// One field's values for all records.
class Column {
public:
  virtual ~Column() = default;
  /// Copies one record's value, `bytesEach` bytes. Threads may call it at the same time.
  virtual void copy(int64_t record, uint8_t *to) const = 0;
  /// The record's value where the field is text.
  virtual std::string text(int64_t) const { return ""; }
  /// The text's ids by the tokenizer `idsBy` where the source had to make them; otherwise empty.
  virtual std::span<const int32_t> ids(int64_t) const { return {}; }
  /// The record's picture where the field is one of any size. Throws Error.
  virtual std::shared_ptr<const Picture> picture(int64_t) const { return nullptr; }
  /// Where the field is a list: how many elements the record has, and the bytes of their part number `part`.
  virtual int64_t elements(int64_t) const { return 0; }
  virtual std::span<const uint8_t> part(int64_t, size_t) const { return {}; }
  /// The same of a part that is text: that of each element.
  virtual std::vector<std::string> partTexts(int64_t, size_t) const { return {}; }
};

struct Table {
  std::string source; // for messages: "idx(train-images.gz, train-labels.gz)"
  int64_t count = 0;
  std::vector<Field> fields;
  std::vector<std::unique_ptr<Column>> columns; // one for each field
  /// Records are windows of one text, so many characters (or tokens) long, that begin one apart; in splits other than
  /// `train` `stride` apart. 0: they are none.
  int64_t window = 0, stride = 0;
  std::string unit = "characters"; // or "tokens"
  std::string idsBy;               // the tokenizer by which the only column knows its texts' ids; empty: it knows none
  std::vector<std::string> notes; // what a reader should know of the source, a sentence each

  const Field *field(const std::string &name) const; // null when there is none
  /// The named records in order, all fields. A list becomes NAME.PART [n, B, ...], B being what the longest has and 1 at
  /// least, what is not there zeros, and NAME.length i32[n]; parts that are text stand in `texts`, record after record.
  Batch batch(const int64_t *records, int64_t n) const;
};

/// Opens a source. Files are relative to `dataDir`; `declaration` names the `data` in messages. `threads` decode
/// pictures; `cut` is asked for windows in tokens. Throws Error.
Table openTable(const std::string &declaration, const SourceSpec &spec, const std::vector<Field> &fields,
                const std::string &dataDir, unsigned threads, const CutBy &cut = {});

/// Names of the sources that openTable knows.
std::vector<std::string> sourceNames();

/// Largest number of bytes of decoded pictures kept in memory.
inline constexpr uint64_t kResidentLimit = uint64_t(1) << 30;

} // namespace bigm::data
