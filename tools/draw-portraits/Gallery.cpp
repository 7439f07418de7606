// The annotated picture of the demo: a grid that a person takes in at a glance.
#include "Gallery.h"
#include <cairo.h>
#include <memory>

namespace bigm::portraits {
namespace {
constexpr int kPicture = 144, kGap = 18, kLine = 19;
}

data::Picture gallery(const std::vector<Exhibit> &exhibits, int columns) {
  size_t lines = 0;
  for (auto &e : exhibits)
    lines = std::max(lines, e.lines.size());
  columns = std::max(1, std::min<int>(columns, int(exhibits.size())));
  int rows = int((exhibits.size() + columns - 1) / columns), cell = kPicture + 8 + int(lines) * kLine + kGap;
  int width = kGap + columns * (kPicture + kGap), height = kGap + rows * cell;
  std::unique_ptr<cairo_surface_t, void (*)(cairo_surface_t *)> surface(
      cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height), cairo_surface_destroy);
  std::unique_ptr<cairo_t, void (*)(cairo_t *)> context(cairo_create(surface.get()), cairo_destroy);
  cairo_t *c = context.get();
  cairo_set_source_rgb(c, 1, 1, 1);
  cairo_paint(c);
  cairo_select_font_face(c, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
  for (size_t i = 0; i < exhibits.size(); ++i) {
    int left = kGap + int(i % columns) * (kPicture + kGap), top = kGap + int(i / columns) * cell;
    auto large = data::withChannels(data::resized(exhibits[i].picture, kPicture, kPicture), 3);
    cairo_surface_flush(surface.get());
    unsigned char *data = cairo_image_surface_get_data(surface.get());
    int stride = cairo_image_surface_get_stride(surface.get());
    for (int y = 0; y < kPicture; ++y)
      for (int x = 0; x < kPicture; ++x) {
        uint32_t pixel = 0;
        for (int k = 0; k < 3; ++k)
          pixel = pixel << 8 | large.pixels[(k * kPicture + y) * kPicture + x];
        *reinterpret_cast<uint32_t *>(data + (top + y) * stride + 4 * (left + x)) = pixel;
      }
    cairo_surface_mark_dirty(surface.get());
    for (size_t n = 0; n < exhibits[i].lines.size(); ++n) {
      const auto &line = exhibits[i].lines[n];
      if (line.verdict == 0)
        cairo_set_source_rgb(c, .1, .1, .12);
      else if (line.verdict > 0)
        cairo_set_source_rgb(c, .05, .42, .15);
      else
        cairo_set_source_rgb(c, .8, .08, .08);
      // Shrunk until it fits.
      cairo_text_extents_t extents;
      for (double size = 13; size > 6; size -= .5) {
        cairo_set_font_size(c, size);
        cairo_text_extents(c, line.text.c_str(), &extents);
        if (extents.width <= kPicture)
          break;
      }
      cairo_move_to(c, left, top + kPicture + 8 + int(n) * kLine + 13);
      cairo_show_text(c, line.text.c_str());
    }
  }
  cairo_surface_flush(surface.get());
  const unsigned char *data = cairo_image_surface_get_data(surface.get());
  int stride = cairo_image_surface_get_stride(surface.get());
  data::Picture out{3, height, width, data::Bytes(size_t(3) * height * width)};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      uint32_t pixel = *reinterpret_cast<const uint32_t *>(data + y * stride + 4 * x);
      for (int k = 0; k < 3; ++k)
        out.pixels[(size_t(k) * height + y) * width + x] = uint8_t(pixel >> (16 - 8 * k));
    }
  return out;
}

} // namespace bigm::portraits
