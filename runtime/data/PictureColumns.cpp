// Columns of pictures: as pixels of the size that the field says, or as they are.
#include "Picture.h"
#include "Sources.h"
#include "Threads.h"
#include <atomic>
#include <cstring>

namespace bigm::data {
namespace {

Picture decoded(const PictureFile &file) {
  return file.bytes ? decodePicture(*file.bytes, file.path) : readPicture(file.path);
}

/// Pixels of a size that the program fixes.
class FixedPictures : public Column {
public:
  FixedPictures(const Field &field, std::vector<PictureFile> f)
      : channels(field.shape.size() == 3 ? int(field.shape[0]) : 1), files(std::move(f)) {
    if ((field.shape.size() != 2 && field.shape.size() != 3) || (channels != 1 && channels != 3) || field.elem != Elem::U8)
      fail("the field `{}` is read from picture files: expected image, u8[H, W], u8[1, H, W] or u8[3, H, W], and it is {}",
           field.name, field.typeText());
    height = field.shape[field.shape.size() - 2];
    width = field.shape.back();
    type = field.typeText();
    fieldName = field.name;
  }
  void copy(int64_t record, uint8_t *to) const override {
    const PictureFile &file = files[size_t(record)];
    try {
      Picture picture = decoded(file);
      if (picture.height != height || picture.width != width)
        fail("{}: the picture is {} wide and {} high, and the field `{}` is {}; a field of the type `image` takes any size", file.path,
             picture.width, picture.height, fieldName, type);
      picture = withChannels(std::move(picture), channels);
      std::memcpy(to, picture.pixels.data(), picture.pixels.size());
    } catch (const Error &e) {
      throw Error(file.place + e.what());
    }
  }

private:
  int channels;
  int64_t height, width;
  std::vector<PictureFile> files;
  std::string type, fieldName;
};

/// Pictures as they are, those kept that fit.
class Photos : public Column {
public:
  explicit Photos(std::vector<PictureFile> f) : files(std::move(f)), kept(files.size()) {}
  void copy(int64_t, uint8_t *) const override {}
  std::shared_ptr<const Picture> picture(int64_t record) const override {
    return kept[size_t(record)] ? kept[size_t(record)] : read(size_t(record));
  }
  void keep(size_t record) {
    if (held < kResidentLimit) {
      kept[record] = read(record);
      held += kept[record]->pixels.size();
    }
  }

private:
  std::shared_ptr<const Picture> read(size_t record) const {
    try {
      return std::make_shared<const Picture>(decoded(files[record]));
    } catch (const Error &e) {
      throw Error(files[record].place + e.what());
    }
  }
  std::vector<PictureFile> files;
  std::vector<std::shared_ptr<const Picture>> kept;
  std::atomic<uint64_t> held{0};
};

} // namespace

std::unique_ptr<Column> pictureColumn(const Field &field, std::vector<PictureFile> files, unsigned threads) {
  size_t count = files.size();
  if (field.isPhoto()) {
    auto photos = std::make_unique<Photos>(std::move(files));
    onThreads(count, threads, [&](size_t i) { photos->keep(i); });
    return photos;
  }
  auto pictures = std::make_unique<FixedPictures>(field, std::move(files));
  size_t each = size_t(product(field.shape));
  if (uint64_t(each) * count > kResidentLimit)
    return pictures;
  std::vector<uint8_t> bytes(each * count);
  onThreads(count, threads, [&](size_t i) { pictures->copy(int64_t(i), bytes.data() + i * each); });
  return std::make_unique<Resident>(std::move(bytes), each);
}

} // namespace bigm::data
