// Draws a face: background with clutter, hair behind, neck, head, hair in front, eyes, nose, mouth, then light and noise.
//
// Everything that does not decide a label varies freely: place, scale and tilt of the head, skin, hair cut, clothes, the
// colour and the side of the light, and clutter in the colours of hair, skin and eyes. So no pixel and no mean colour
// tells a label (a linear model on the pixels stays below 0.8), while the shapes do. The eyes are drawn large, as in a
// cartoon: at 48 pixels an eye of natural size would have no colour left.
#include "Portrait.h"
#include <algorithm>
#include <cairo.h>
#include <cmath>
#include <memory>
#include <numbers>
#include <vector>

namespace bigm::portraits {
namespace {

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
class Dice {
public:
  explicit Dice(uint64_t seed) : state(seed) {}
  uint64_t bits() {
    uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  double unit() { return double(bits() >> 11) * 0x1p-53; }
  double between(double low, double high) { return low + (high - low) * unit(); }
  int below(int n) { return int(unit() * n); }
  bool chance(double p) { return unit() < p; }
  /// Near enough to normal for noise: the sum of four uniforms, standard deviation 1.
  double normal() { return (unit() + unit() + unit() + unit() - 2) * std::sqrt(3.0); }

private:
  uint64_t state;
};

struct Colour {
  double r, g, b;
  Colour operator*(double k) const { return {r * k, g * k, b * k}; }
};
Colour mix(Colour a, Colour b, double t) {
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}
Colour jittered(Dice &dice, Colour c, double by) {
  double shade = 1 + dice.between(-by, by);
  auto one = [&](double v) { return std::clamp(v * shade + dice.between(-by, by) * 0.15, 0.0, 1.0); };
  return {one(c.r), one(c.g), one(c.b)};
}

constexpr Colour kHairColours[] = {{.09, .08, .10}, {.42, .25, .12}, {.90, .76, .42}, {.72, .25, .08}};
constexpr Colour kEyeColours[] = {{.16, .42, .92}, {.40, .21, .06}, {.12, .62, .22}};
constexpr Colour kSkinLight = {.99, .86, .76}, kSkinDark = {.48, .31, .22};

class Pen {
public:
  explicit Pen(cairo_t *c) : c(c) {}
  void colour(Colour k, double alpha = 1) { cairo_set_source_rgba(c, k.r, k.g, k.b, alpha); }
  void ellipsePath(double x, double y, double rx, double ry, double turn = 0) {
    cairo_save(c);
    cairo_translate(c, x, y);
    cairo_rotate(c, turn);
    cairo_scale(c, rx, ry);
    cairo_new_sub_path(c);
    cairo_arc(c, 0, 0, 1, 0, 2 * std::numbers::pi);
    cairo_restore(c);
  }
  void ellipse(double x, double y, double rx, double ry, double turn = 0) {
    ellipsePath(x, y, rx, ry, turn);
    cairo_fill(c);
  }
  void stroke(double width) {
    cairo_set_line_width(c, width);
    cairo_set_line_cap(c, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
    cairo_stroke(c);
  }
  cairo_t *operator->() = delete;
  cairo_t *c;
};

/// Half of what is no face has the very colours that the labels are about.
Colour anyColour(Dice &dice) {
  if (dice.chance(.55))
    return jittered(dice, dice.chance(.75) ? kHairColours[dice.below(4)] : kEyeColours[dice.below(3)], .12);
  return {dice.unit(), dice.unit(), dice.unit()};
}

/// `grown` is the size of what lies about, 1 in a portrait; `pieces` how much there is at least.
void drawBackground(Pen &pen, Dice &dice, int width, int height, double grown, int pieces) {
  double turn = dice.between(0, 2 * std::numbers::pi), x0 = width / 2.0, y0 = height / 2.0, reach = width * .625;
  auto *fade = cairo_pattern_create_linear(x0 - reach * std::cos(turn), y0 - reach * std::sin(turn), x0 + reach * std::cos(turn),
                                           y0 + reach * std::sin(turn));
  for (int stop = 0; stop < 2; ++stop) {
    Colour k = anyColour(dice);
    cairo_pattern_add_color_stop_rgb(fade, stop, k.r, k.g, k.b);
  }
  cairo_set_source(pen.c, fade);
  cairo_paint(pen.c);
  cairo_pattern_destroy(fade);
  for (int i = dice.below(9) + pieces; i > 0; --i) {
    pen.colour(anyColour(dice), dice.between(.5, 1));
    double x = dice.between(0, width), y = dice.between(0, height), turn = dice.between(0, 3.2);
    auto size = [&](double low, double high) { return grown * dice.between(low, high); };
    switch (dice.below(3)) {
    case 0:
      pen.ellipse(x, y, size(2, 10), size(2, 10), turn);
      break;
    case 1:
      cairo_save(pen.c);
      cairo_translate(pen.c, x, y);
      cairo_rotate(pen.c, turn);
      cairo_rectangle(pen.c, -size(2, 9), -size(2, 9), size(4, 18), size(4, 18));
      cairo_fill(pen.c);
      cairo_restore(pen.c);
      break;
    default:
      cairo_move_to(pen.c, x, y);
      cairo_line_to(pen.c, dice.between(0, width), dice.between(0, height));
      pen.stroke(size(1, 4));
    }
  }
}

/// Coordinates below are relative to the head: its half width is 11 and its half height 14 at scale 1.
struct Head {
  double halfWidth, halfHeight;
  Colour skin, hair;
  int cut; // 0 short, 1 long, 2 curls, 3 parted, 4 bun
};

void drawHairBehind(Pen &pen, Dice &dice, const Head &h) {
  pen.colour(h.hair * .88);
  if (h.cut == 1) {
    double reach = dice.between(13, 20);
    pen.ellipse(0, -3, h.halfWidth + 3.5, h.halfHeight);
    cairo_rectangle(pen.c, -h.halfWidth - 3.5, -3, 2 * h.halfWidth + 7, reach);
    cairo_fill(pen.c);
  } else if (h.cut == 2) {
    for (int i = 0; i < 15; ++i) {
      double at = std::numbers::pi * (1 + (i - 2) / 10.0);
      pen.ellipse((h.halfWidth + .8) * std::cos(at), (h.halfHeight - .5) * std::sin(at), dice.between(2.8, 4.2),
                  dice.between(2.8, 4.2));
    }
  } else if (h.cut == 4) {
    pen.ellipse(dice.between(-3, 3), -h.halfHeight - 2.5, 5, 4.5);
    pen.ellipse(0, -2.5, h.halfWidth + 1.2, h.halfHeight - .5);
  } else {
    pen.ellipse(0, -2, h.halfWidth + 1.8, h.halfHeight);
  }
}

void drawHairInFront(Pen &pen, Dice &dice, const Head &h) {
  // The head's upper part, cut off below by a line of hair.
  double line = dice.between(-8.0, -6.4), side = dice.between(-1, 1);
  cairo_save(pen.c);
  pen.ellipsePath(0, 0, h.halfWidth + .6, h.halfHeight + .8);
  cairo_clip(pen.c);
  pen.colour(h.hair);
  cairo_move_to(pen.c, -h.halfWidth - 2, -h.halfHeight - 3);
  cairo_line_to(pen.c, h.halfWidth + 2, -h.halfHeight - 3);
  if (h.cut == 3) {
    double at = side < 0 ? -4 : 4;
    cairo_line_to(pen.c, h.halfWidth + 2, at < 0 ? line + 4 : line);
    cairo_curve_to(pen.c, h.halfWidth - 2, line, at + 2, line - 2, at, line - 4);
    cairo_curve_to(pen.c, at - 2, line - 2, 2 - h.halfWidth, line, -h.halfWidth - 2, at < 0 ? line : line + 4);
  } else {
    cairo_line_to(pen.c, h.halfWidth + 2, line + 5);
    cairo_curve_to(pen.c, h.halfWidth - 2, line - 1 + side, side * 4, line - 1.5, -h.halfWidth + 2, line - side);
    cairo_line_to(pen.c, -h.halfWidth - 2, line + 5);
  }
  cairo_close_path(pen.c);
  cairo_fill(pen.c);
  // A few strands, lighter and darker.
  for (int i = 0; i < 5; ++i) {
    double x = dice.between(-h.halfWidth, h.halfWidth);
    pen.colour(h.hair * (dice.chance(.5) ? 1.18 : .8), .6);
    cairo_move_to(pen.c, x, -h.halfHeight - 1);
    cairo_line_to(pen.c, x * .9 + dice.between(-1, 1), line - 1.5);
    pen.stroke(.7);
  }
  cairo_restore(pen.c);
}

void drawEyes(Pen &pen, Dice &dice, const Head &h, int eyes) {
  double apart = dice.between(4.7, 5.6), y = dice.between(-2.2, -1.2), open = dice.between(2.5, 3.0);
  double lookX = dice.between(-.7, .7), lookY = dice.between(-.4, .4);
  Colour brow = mix(h.hair, {.1, .08, .06}, .5);
  Colour iris = eyes < 3 ? jittered(dice, kEyeColours[eyes], .08) : Colour{};
  for (double x : {-apart, apart}) {
    if (eyes == 3) {
      pen.colour(h.skin * .86);
      pen.ellipse(x, y, 3.1, open * .8);
      pen.colour({.12, .08, .06});
      cairo_move_to(pen.c, x - 2.8, y + .4);
      cairo_curve_to(pen.c, x - 1.2, y + 2, x + 1.2, y + 2, x + 2.8, y + .4);
      pen.stroke(1.1);
    } else {
      pen.colour({.97, .97, .98});
      pen.ellipse(x, y, 3.2, open);
      cairo_save(pen.c);
      pen.ellipsePath(x, y, 3.2, open);
      cairo_clip(pen.c);
      pen.colour(iris);
      pen.ellipse(x + lookX, y + lookY, 2.35, 2.35);
      pen.colour({.03, .03, .04});
      pen.ellipse(x + lookX, y + lookY, .8, .8);
      cairo_restore(pen.c);
      pen.colour({.15, .1, .08}, .8);
      pen.ellipsePath(x, y, 3.2, open);
      pen.stroke(.5);
    }
    pen.colour(brow, .9);
    cairo_move_to(pen.c, x - 2.6, y - open - 1 + dice.between(-.4, .4));
    cairo_line_to(pen.c, x + 2.6, y - open - 1 + dice.between(-.4, .4));
    pen.stroke(.9);
  }
}

void drawNose(Pen &pen, Dice &dice, const Head &h, int nose) {
  // Length below the eyes and half width of the three kinds.
  static constexpr double kLength[] = {2.4, 9.2, 5.4}, kWidth[] = {1.2, 1.8, 5.3};
  double length = kLength[nose] * dice.between(.94, 1.06), width = kWidth[nose] * dice.between(.93, 1.07);
  double top = dice.between(-.6, .2), bottom = top + length + (nose == 0 ? 2 : 0), lean = dice.between(-.5, .5);
  Colour shade = h.skin * dice.between(.56, .66);
  pen.colour(mix(h.skin, shade, .7));
  cairo_move_to(pen.c, lean * .3, bottom - length);
  cairo_curve_to(pen.c, width * .5, bottom - length * .5, width, bottom - 1, width, bottom);
  cairo_line_to(pen.c, -width, bottom);
  cairo_curve_to(pen.c, -width, bottom - 1, -width * .5, bottom - length * .5, lean * .3, bottom - length);
  cairo_fill(pen.c);
  pen.colour(shade * .62);
  cairo_move_to(pen.c, -width, bottom - .4);
  cairo_curve_to(pen.c, -width * .6, bottom + .9, width * .6, bottom + .9, width, bottom - .4);
  pen.stroke(.9);
  pen.colour(mix(h.skin, {1, 1, 1}, .35));
  cairo_move_to(pen.c, lean * .3, bottom - length + .5);
  cairo_line_to(pen.c, 0, bottom - 1);
  pen.stroke(.7);
}

void drawMouth(Pen &pen, Dice &dice, const Head &h) {
  double y = dice.between(10.2, 10.9), half = dice.between(2.5, 4.2), smile = dice.between(-.8, 2);
  pen.colour(mix(h.skin * .6, {.75, .2, .22}, .6));
  cairo_move_to(pen.c, -half, y);
  cairo_curve_to(pen.c, -half * .4, y + smile, half * .4, y + smile, half, y);
  pen.stroke(dice.between(.9, 1.5));
}

/// Where the middle of a head stands, and how large it is drawn.
struct Place {
  double x, y, scale;
};
struct Traits {
  int hair, eyes, nose;
};

/// At `given`, or where the dice say. Fills the box of the head with its hair.
void drawFace(Pen &pen, Dice &dice, const Traits &truth, const Place *given = nullptr, Scene::Face *box = nullptr) {
  Head h;
  h.halfWidth = dice.between(10.2, 11.8);
  h.halfHeight = dice.between(13, 14.6);
  h.skin = jittered(dice, mix(kSkinLight, kSkinDark, std::pow(dice.unit(), 1.3)), .04);
  h.hair = jittered(dice, kHairColours[truth.hair], .09);
  h.cut = dice.below(5);

  cairo_save(pen.c);
  Place at = given ? *given : Place{};
  if (!given) {
    at.scale = dice.between(.8, 1.08);
    // The order in which a compiler takes arguments is its own: what a seed gives must not hang on it.
    at.x = 24 + dice.between(-9, 9);
    at.y = 24 + dice.between(-6.5, 8);
  }
  cairo_translate(pen.c, at.x, at.y);
  cairo_scale(pen.c, dice.chance(.5) ? at.scale : -at.scale, at.scale);
  double tilt = dice.between(-.22, .22);
  cairo_rotate(pen.c, tilt);
  if (box) {
    double a = h.halfWidth + .6, b = h.halfHeight + .8, c = std::cos(tilt), s = std::sin(tilt);
    double across = at.scale * std::hypot(a * c, b * s), down = at.scale * std::hypot(a * s, b * c);
    box->left = at.x - across;
    box->right = at.x + across;
    box->top = at.y - down;
    box->bottom = at.y + down;
  }

  pen.colour(anyColour(dice)); // clothes
  pen.ellipse(0, 26, 18, 9);
  drawHairBehind(pen, dice, h);
  pen.colour(h.skin * .85); // neck and ears
  cairo_rectangle(pen.c, -4, 8, 8, 11);
  cairo_fill(pen.c);
  if (h.cut != 1) {
    pen.ellipse(-h.halfWidth, 1, 2, 3);
    pen.ellipse(h.halfWidth, 1, 2, 3);
  }
  pen.colour(h.skin);
  pen.ellipse(0, 0, h.halfWidth, h.halfHeight);
  pen.colour({.9, .35, .3}, dice.between(0, .22)); // cheeks
  pen.ellipse(-6.4, 5, 2.4, 1.8);
  pen.ellipse(6.4, 5, 2.4, 1.8);
  drawNose(pen, dice, h, truth.nose);
  drawEyes(pen, dice, h, truth.eyes);
  drawMouth(pen, dice, h);
  drawHairInFront(pen, dice, h);
  cairo_restore(pen.c);
}

/// Two rounds of the generator part the streams of neighbouring seeds and indices.
Dice diceOf(uint64_t seed, uint64_t index) { return Dice(Dice(seed * 0x9e3779b97f4a7c15 + 1).bits() ^ Dice(index + 0x1234567).bits()); }

class Canvas {
public:
  Canvas(int width, int height)
      : width(width), height(height), surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height), cairo_surface_destroy),
        context(cairo_create(surface.get()), cairo_destroy) {}
  cairo_t *get() { return context.get(); }

  /// Light: a strength, a colour, and a side from which it comes; then noise.
  data::Picture lit(Dice &dice) {
    cairo_surface_flush(surface.get());
    double light = dice.between(.78, 1.16), side = dice.between(-.28, .28), above = dice.between(-.15, .15);
    double tint[3] = {dice.between(.9, 1.08), dice.between(.92, 1.06), dice.between(.88, 1.1)};
    double grain = dice.between(2, 9), halfWidth = width / 2.0, halfHeight = height / 2.0;
    const unsigned char *rows = cairo_image_surface_get_data(surface.get());
    int stride = cairo_image_surface_get_stride(surface.get());
    data::Picture picture{3, height, width, data::Bytes(size_t(3) * size_t(width) * size_t(height))};
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        uint32_t pixel = *reinterpret_cast<const uint32_t *>(rows + y * stride + 4 * x);
        double here = light * (1 + side * (x / halfWidth - 1) + above * (y / halfHeight - 1));
        for (int c = 0; c < 3; ++c) {
          double value = (pixel >> (16 - 8 * c) & 255) * here * tint[c] + grain * dice.normal();
          picture.pixels[size_t((c * height + y) * width + x)] = uint8_t(std::clamp(value + .5, 0.0, 255.0));
        }
      }
    return picture;
  }

private:
  int width, height;
  std::unique_ptr<cairo_surface_t, void (*)(cairo_surface_t *)> surface;
  std::unique_ptr<cairo_t, void (*)(cairo_t *)> context;
};

/// Places for so many faces: far enough apart that neither hair nor clothes of one lie on the face of another.
std::vector<Place> placesFor(Dice &dice, int count) {
  std::vector<Place> places;
  double most = std::min(2.2, 1 + 7.0 / std::max(count, 1));
  for (int tries = 0; int(places.size()) < count && tries < 4000; ++tries) {
    Place p;
    p.scale = dice.between(1, tries < 2000 ? most : 1.1);
    p.x = dice.between(15 * p.scale, kSceneWidth - 15 * p.scale);
    p.y = dice.between(18 * p.scale, kSceneHeight - 16 * p.scale);
    bool free = std::all_of(places.begin(), places.end(), [&](const Place &o) {
      return std::abs(p.x - o.x) > 17 * (p.scale + o.scale) || std::abs(p.y - o.y) > 20 * (p.scale + o.scale);
    });
    if (free)
      places.push_back(p);
  }
  std::sort(places.begin(), places.end(), [](auto &a, auto &b) { return a.y < b.y; }); // who stands in front is drawn later
  return places;
}

} // namespace

Portrait draw(uint64_t seed, uint64_t index) {
  Dice dice = diceOf(seed, index);
  Portrait out;
  out.hair = dice.below(4);
  out.eyes = dice.below(4);
  out.nose = dice.below(3);
  Canvas canvas(kSize, kSize);
  Pen pen(canvas.get());
  drawBackground(pen, dice, kSize, kSize, 1, 4);
  drawFace(pen, dice, {out.hair, out.eyes, out.nose});
  out.picture = canvas.lit(dice);
  return out;
}

Scene drawScene(uint64_t seed, uint64_t index) {
  Dice dice = diceOf(seed ^ 0x5ce4e5, index);
  Scene out;
  Canvas canvas(kSceneWidth, kSceneHeight);
  Pen pen(canvas.get());
  drawBackground(pen, dice, kSceneWidth, kSceneHeight, 2, 16);
  for (const Place &place : placesFor(dice, dice.below(kMostFaces + 1))) {
    Scene::Face face;
    face.hair = dice.below(4);
    face.eyes = dice.below(4);
    face.nose = dice.below(3);
    drawFace(pen, dice, {face.hair, face.eyes, face.nose}, &place, &face);
    out.faces.push_back(face);
  }
  out.picture = canvas.lit(dice);
  return out;
}

} // namespace bigm::portraits
