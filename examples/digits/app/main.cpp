// Inference and training from C++ with the library that bigmc makes of digits.bigm. No framework, no Python.
#include <chrono>
#include <cstdio>
#include <digits.hpp>

#ifndef DIGITS_WEIGHTS
#define DIGITS_WEIGHTS ""
#endif

/// A 28 x 28 picture of a vertical stroke: a one, `shift` columns off the middle.
static void drawOne(uint8_t *picture, int shift) {
  for (int y = 4; y < 24; ++y)
    for (int x = 13; x < 16; ++x)
      picture[y * 28 + x + shift] = 255;
}

int main(int argc, char **argv) try {
  auto start = std::chrono::steady_clock::now();
  digits::Model model(argc > 1 ? argv[1] : DIGITS_WEIGHTS);

  // Raw pictures in, classes out: preparation is the program's own.
  std::vector<uint8_t> picture(28 * 28, 0);
  drawOne(picture.data(), 0);
  auto answer = model.predict(picture);
  auto first = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  std::printf("a vertical stroke reads as %d (%.2f), %.1f ms after start\n", answer.digit[0], answer.digit_score[0], first);

  // Training: a batch of strokes, all of them ones.
  const int batch = 8;
  std::vector<uint8_t> pictures(batch * 28 * 28, 0);
  for (int i = 0; i < batch; ++i)
    drawOne(&pictures[i * 28 * 28], i - batch / 2);
  std::vector<int32_t> ones(batch, 1);
  std::vector<float> images = model.prepare(pictures, ones).image;
  model.plan(20);
  float before = 0, after = 0;
  for (int step = 0; step < 20; ++step)
    (step ? after : before) = model.train_step_all(ones, images);
  std::printf("loss %.4f, after 20 steps %.4f\n", before, after);

  model.evaluate_begin();
  std::printf("accuracy on them %.2f\n", model.evaluate(ones, images).accuracy);

  // Weights out and in again give the same answers.
  std::vector<float> logits = model.forward(images);
  model.save("digits-app.safetensors");
  digits::Model again("digits-app.safetensors");
  bool same = again.forward(images) == logits;
  std::printf("saved, loaded, and the answers are %s\n", same ? "the same bits" : "different");
  return same && after < before ? 0 : 1;
} catch (const bigm::Error &error) {
  std::fprintf(stderr, "digits-app: %s\n", error.what());
  return 1;
}
