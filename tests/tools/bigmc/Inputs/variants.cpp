// Runs every variant of the library in one process and compares; prints what each is, and which one a caller gets.
#include <algorithm>
#include <bigm/bigm.hpp>
#include <cmath>
#include <cstdio>
#include <variants.h>

/// The logits of three pictures, by the code that a CPU of this level takes.
static std::vector<float> run(const char *cpu, const char *weights) {
  bigm_module_source source = BIGM_INIT(bigm_module_source);
  source.manifest = variants_bigm_manifest;
  source.manifest_size = variants_bigm_manifest_size;
  source.entries = variants_bigm_entries;
  source.cpu = cpu;
  variants_model self = {};
  bigm::check(bigm_module_create(&source, &self.module));
  bigm::check(bigm_model_create(self.module, &self.model));
  bigm::check(bigm_context_create(self.model, nullptr, &self.context));
  bigm::check(bigm_model_load(self.model, weights, nullptr));
  std::printf("%s: %s\n", cpu ? cpu : "left out", bigm_module_target(self.module));
  std::vector<float> image(3 * 3 * 19 * 21), logits(3 * 11);
  for (size_t i = 0; i < image.size(); ++i)
    image[i] = std::sin(0.37f * float(i));
  bigm::check(variants_forward(&self, 3, image.data(), logits.data()));
  variants_close(&self);
  return logits;
}

int main(int, char **argv) try {
  auto older = run("x86-64-v2", argv[1]), newer = run("x86-64-v3", argv[1]), own = run(nullptr, argv[1]);
  float difference = 0, largest = 0;
  for (size_t i = 0; i < older.size(); ++i) {
    difference = std::max(difference, std::fabs(older[i] - newer[i]));
    largest = std::max(largest, std::fabs(older[i]));
  }
  std::printf("within 1e-5 of the largest: %s\n", largest > 0 && difference <= 1e-5f * largest ? "yes" : "no");
  std::printf("the same bits as %s\n", own == newer ? "x86-64-v3" : own == older ? "x86-64-v2" : "neither");
} catch (const bigm::Error &error) {
  std::fprintf(stderr, "%s: %s\n", bigm_status_name(error.status()), error.what());
  return 1;
}
