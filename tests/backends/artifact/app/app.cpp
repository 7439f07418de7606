// Trains and predicts through the generated header.
#include <bigm/bigm.hpp>
#include <cstdio>
#include <toy.hpp>

int main() {
  toy::Model model(WEIGHTS);
  std::vector<float> x = {1, 1, 1, 2, 2, 2};
  auto before = model.forward(x);
  float loss = model.train_step_all(x);
  auto after = model.fork().forward(x);
  model.save("saved.safetensors");
  toy::Model again("saved.safetensors");
  std::printf("%g %g %g %g %zu\n", before.y[0], loss, after.y[1], again.forward(x).y[0], after.twice.size());
  try {
    model.forward(std::vector<float>{1, 2});
  } catch (const bigm::Error &error) {
    std::printf("%s\n", error.what());
  }
}
