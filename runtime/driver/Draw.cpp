#include "Draw.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <cairo.h>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

namespace bigm::driver {
namespace {
using flow::RichType;
using json = nlohmann::ordered_json;

struct Colour {
  double red, green, blue;
};
/// Told apart also by most who see colours otherwise (Okabe and Ito, 2008).
constexpr Colour kColours[] = {{0.90, 0.62, 0.00}, {0.34, 0.71, 0.91}, {0.00, 0.62, 0.45}, {0.94, 0.89, 0.26},
                               {0.84, 0.37, 0.00}, {0.80, 0.47, 0.65}, {0.00, 0.45, 0.70}};

bool numbers(const json &value, size_t count) {
  if (!value.is_array() || value.size() != count)
    return false;
  for (auto &item : value)
    if (!item.is_number())
      return false;
  return true;
}

class Drawing {
public:
  /// A small picture is drawn enlarged, each pixel as a square, so that letters have room.
  explicit Drawing(const data::Picture &p)
      : zoom(std::clamp(960 / std::max({p.width, p.height, 1}), 1, 4)),
        surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, p.width * zoom, p.height * zoom), cairo_surface_destroy),
        cr(cairo_create(surface.get()), cairo_destroy), width(p.width), height(p.height) {
    if (cairo_status(cr.get()) != CAIRO_STATUS_SUCCESS)
      data::fail("a picture of {} x {} cannot be drawn on: {}", width, height, cairo_status_to_string(cairo_status(cr.get())));
    cairo_surface_flush(surface.get());
    size_t area = size_t(width) * size_t(height);
    const uint8_t *red = p.pixels.data(), *green = p.channels == 3 ? red + area : red, *blue = p.channels == 3 ? red + 2 * area : red;
    for (int y = 0; y < height * zoom; ++y) {
      auto *row = reinterpret_cast<uint32_t *>(cairo_image_surface_get_data(surface.get()) +
                                               size_t(y) * size_t(cairo_image_surface_get_stride(surface.get())));
      size_t from = size_t(y / zoom) * size_t(width);
      for (int x = 0; x < width * zoom; ++x) {
        size_t i = from + size_t(x / zoom);
        row[x] = uint32_t(red[i]) << 16 | uint32_t(green[i]) << 8 | blue[i];
      }
    }
    cairo_surface_mark_dirty(surface.get());
    cairo_scale(cr.get(), zoom, zoom);
    unit = std::max(1.0, std::min(width, height) * zoom / 600.0) / zoom;
    cairo_select_font_face(cr.get(), "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
    cairo_set_font_size(cr.get(), 12 * unit);
  }

  void draw(const RichType &type, const json &value, const std::string &name = "") {
    if (value.is_null())
      return;
    switch (type.kind) {
    case RichType::Kind::List:
      for (auto &item : value) {
        draw(type.fields[0], item, name);
        ++which;
      }
      return;
    case RichType::Kind::Optional: return draw(type.fields[0], value, name);
    case RichType::Kind::Record: return record(type, value);
    case RichType::Kind::Image: return;
    case RichType::Kind::Text: return write(name.empty() ? plain(value) : name + ": " + plain(value), 0, line());
    case RichType::Kind::Tensor: break;
    }
    if (type.meaning == "box" && numbers(value, 4))
      return frame(value);
    if (type.meaning == "point")
      return points(value);
    if (type.shape.empty())
      write(name.empty() ? plain(value) : name + ": " + plain(value), 0, line());
  }

  data::Picture picture() {
    cairo_surface_flush(surface.get());
    data::Picture out{3, height * zoom, width * zoom, {}};
    size_t area = size_t(out.width) * size_t(out.height), i = 0;
    out.pixels.resize(3 * area);
    for (int y = 0; y < out.height; ++y) {
      auto *row = reinterpret_cast<const uint32_t *>(cairo_image_surface_get_data(surface.get()) +
                                                     size_t(y) * size_t(cairo_image_surface_get_stride(surface.get())));
      for (int x = 0; x < out.width; ++x, ++i)
        for (size_t c = 0; c < 3; ++c)
          out.pixels[c * area + i] = uint8_t(row[x] >> (16 - 8 * c));
    }
    return out;
  }

private:
  static std::string plain(const json &value) {
    if (value.is_string())
      return value.get<std::string>();
    if (value.is_number_float()) {
      char text[32];
      std::snprintf(text, sizeof text, "%.2f", value.get<double>());
      return text;
    }
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
  }

  /// A record with a box of its own says at it what else it has.
  void record(const RichType &type, const json &value) {
    const json *box = nullptr;
    std::vector<std::string> said;
    for (size_t i = 0; i < type.names.size(); ++i) {
      const RichType &field = type.fields[i];
      const json &v = value.at(type.names[i]);
      if (v.is_null())
        continue;
      const RichType &inner = field.kind == RichType::Kind::Optional ? field.fields[0] : field;
      if (inner.meaning == "box" && !box && numbers(v, 4))
        box = &v;
      else if (inner.kind == RichType::Kind::Text || (inner.kind == RichType::Kind::Tensor && inner.shape.empty()))
        said.push_back(inner.meaning == "score" || inner.kind == RichType::Kind::Text || v.is_string() ? plain(v) : type.names[i] + " " + plain(v));
    }
    if (!box) {
      for (size_t i = 0; i < type.names.size(); ++i)
        draw(type.fields[i], value.at(type.names[i]), type.names[i]);
      return;
    }
    for (size_t i = 0; i < type.names.size(); ++i)
      if (type.fields[i].meaning == "point")
        points(value.at(type.names[i]));
      else if (type.fields[i].kind == RichType::Kind::List || type.fields[i].kind == RichType::Kind::Record)
        draw(type.fields[i], value.at(type.names[i]), type.names[i]);
    frame(*box);
    atBox(said, (*box)[0].get<double>(), (*box)[1].get<double>(), (*box)[2].get<double>() - (*box)[0].get<double>());
  }
  double widthOf(const std::string &text) {
    cairo_text_extents_t size;
    cairo_text_extents(cr.get(), text.c_str(), &size);
    return size.x_advance;
  }
  /// In as many lines as keep about to the box's width, the last right above the box.
  void atBox(const std::vector<std::string> &said, double left, double top, double across) {
    std::vector<std::string> rows;
    for (auto &word : said)
      if (rows.empty() || widthOf(rows.back() + "  " + word) > 1.3 * across)
        rows.push_back(word);
      else
        rows.back() += "  " + word;
    for (size_t i = 0; i < rows.size(); ++i)
      write(rows[i], left, top - 3 * unit - 15 * unit * double(rows.size() - 1 - i));
  }
  void colour() {
    const Colour &c = kColours[which % std::size(kColours)];
    cairo_set_source_rgb(cr.get(), c.red, c.green, c.blue);
  }
  void frame(const json &box) {
    double left = box[0], top = box[1], right = box[2], bottom = box[3];
    colour();
    cairo_set_line_width(cr.get(), 2 * unit);
    cairo_rectangle(cr.get(), left, top, right - left, bottom - top);
    cairo_stroke(cr.get());
  }
  void points(const json &value) {
    if (!value.is_array())
      return;
    if (!numbers(value, 2)) {
      for (auto &item : value)
        points(item);
      return;
    }
    colour();
    cairo_arc(cr.get(), value[0].get<double>(), value[1].get<double>(), 1.5 * unit, 0, 2 * M_PI);
    cairo_fill(cr.get());
  }
  /// With a dark ground behind it, moved until it lies inside the picture.
  void write(const std::string &text, double x, double y) {
    double pad = 2 * unit, across = widthOf(text);
    x = std::max(0.0, std::min(x, width - across - 2 * pad));
    y = std::max(12 * unit + pad, std::min(y, double(height) - pad));
    cairo_set_source_rgba(cr.get(), 0, 0, 0, 0.65);
    cairo_rectangle(cr.get(), x, y - 11 * unit - pad, across + 2 * pad, 13 * unit + 2 * pad);
    cairo_fill(cr.get());
    colour();
    cairo_move_to(cr.get(), x + pad, y);
    cairo_show_text(cr.get(), text.c_str());
  }
  double line() { return 16 * unit * double(++lines); }

  int zoom;
  std::unique_ptr<cairo_surface_t, decltype(&cairo_surface_destroy)> surface;
  std::unique_ptr<cairo_t, decltype(&cairo_destroy)> cr;
  int width, height; // of the picture as it is
  double unit = 1;   // of lines and letters, by the drawing's size
  size_t which = 0, lines = 0;
};

} // namespace

data::Picture drawn(const data::Picture &picture, const flow::RichType &type, const json &value) {
  Drawing drawing(picture);
  drawing.draw(type, value);
  return drawing.picture();
}

} // namespace bigm::driver
