// text-ids TOKENIZER [--no-special]: ids of texts for comparison with other libraries. Reads texts from stdin, each a
// 4-byte length and its bytes; writes for each the number of ids, the ids, their spans (2 numbers each), the length of
// the decoded text and its bytes, all numbers as 4 bytes. With --time N encodes all texts N times and prints MB/s.
#include "runtime/text/Tokenizer.h"
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace bigm::text;

int main(int argc, char **argv) {
  if (argc < 2)
    return 2;
  EncodeOptions options{.special = true, .offsets = true};
  int times = 0;
  for (int i = 2; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--no-special"))
      options.special = false;
    if (!std::strcmp(argv[i], "--time") && i + 1 < argc)
      times = std::atoi(argv[++i]);
  }
  try {
    Tokenizer tokenizer = Tokenizer::fromFile(argv[1]);
    std::vector<std::string> texts;
    uint32_t size;
    size_t bytes = 0;
    while (std::fread(&size, 4, 1, stdin) == 1) {
      std::string text(size, '\0');
      if (std::fread(text.data(), 1, size, stdin) != size)
        return 2;
      bytes += size;
      texts.push_back(std::move(text));
    }
    if (times > 0) {
      options.offsets = false;
      size_t ids = 0;
      auto begun = std::chrono::steady_clock::now();
      for (int i = 0; i < times; ++i)
        for (auto &t : texts)
          ids += tokenizer.encode(t, options).ids.size();
      double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
      std::printf("%.2f MB/s, %zu ids\n", double(bytes) * times / seconds / 1e6, ids);
      return 0;
    }
    auto put = [](uint32_t v) { std::fwrite(&v, 4, 1, stdout); };
    for (auto &t : texts) {
      Encoding e = tokenizer.encode(t, options);
      put(uint32_t(e.ids.size()));
      for (int32_t id : e.ids)
        put(uint32_t(id));
      for (Span s : e.offsets)
        put(s.begin), put(s.end);
      std::string back = tokenizer.decode(e.ids);
      put(uint32_t(back.size()));
      std::fwrite(back.data(), 1, back.size(), stdout);
    }
  } catch (const Error &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
