/* The same from C. */
#include <stdio.h>
#include <toy.h>

int main(void) {
  toy_model model;
  float x[6] = {1, 1, 1, 2, 2, 2}, y[2], loss = 0;
  if (toy_open(&model, WEIGHTS, 1) != BIGM_OK || toy_train_step_all(&model, 2, x, &loss) != BIGM_OK ||
      toy_forward(&model, 2, x, y, NULL) != BIGM_OK) {
    puts(bigm_last_error());
    return 1;
  }
  printf("%g %g %g\n", loss, y[0], y[1]);
  toy_close(&model);
  if (toy_open(&model, "none.safetensors", 1) != BIGM_OK)
    puts(bigm_last_error());
  return 0;
}
