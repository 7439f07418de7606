// gguf-tokenizer FILE: the tokenizer.json of the vocabulary that a GGUF file carries, for comparison with other libraries.
#include "runtime/weights/GgufTokenizer.h"
#include <cstdio>
#include <exception>

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  try {
    std::string json = bigm::weights::ggufTokenizer(argv[1]).json();
    std::fwrite(json.data(), 1, json.size(), stdout);
  } catch (const std::exception &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
