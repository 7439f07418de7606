// text-ids TOKENIZER [--no-special] [--pairs]: ids of texts for comparison with other libraries. Reads texts from stdin, each
// a 4-byte length and its bytes; with --pairs two and two are encoded together. Writes for each the number of ids, the ids,
// their types, their spans (2 numbers each), the length of the decoded text and its bytes, all numbers as 4 bytes; for one
// that cannot be encoded -1, and the reason as a length and bytes. With --time N encodes all texts N times and prints MB/s.
// With --words N [--at-most M] N and N texts are the words of one; writes the number of ids, the ids, how many words begin
// among them, and where.
#include "runtime/text/Tokenizer.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

using namespace bigm::text;

int main(int argc, char **argv) {
  if (argc < 2)
    return 2;
  EncodeOptions options{.special = true, .offsets = true};
  int times = 0;
  bool pairs = false;
  size_t words = 0;
  for (int i = 2; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--no-special"))
      options.special = false;
    if (!std::strcmp(argv[i], "--pairs"))
      pairs = true;
    if (!std::strcmp(argv[i], "--time") && i + 1 < argc)
      times = std::atoi(argv[++i]);
    if (!std::strcmp(argv[i], "--words") && i + 1 < argc)
      words = size_t(std::atoi(argv[++i]));
    if (!std::strcmp(argv[i], "--at-most") && i + 1 < argc)
      options.atMost = std::atoi(argv[++i]);
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
      std::clock_t begun = std::clock(); // of this process, as others may run beside it
      for (int i = 0; i < times; ++i)
        for (auto &t : texts)
          ids += tokenizer.encode(t, options).ids.size();
      double seconds = double(std::clock() - begun) / CLOCKS_PER_SEC;
      std::printf("%.2f MB/s, %zu ids\n", double(bytes) * times / seconds / 1e6, ids);
      return 0;
    }
    auto put = [](uint32_t v) { std::fwrite(&v, 4, 1, stdout); };
    auto putText = [&](const std::string &text) {
      put(uint32_t(text.size()));
      std::fwrite(text.data(), 1, text.size(), stdout);
    };
    auto putNumbers = [&](const std::vector<int32_t> &numbers) {
      put(uint32_t(numbers.size()));
      for (int32_t n : numbers)
        put(uint32_t(n));
    };
    auto putError = [&](const Error &e) {
      put(uint32_t(-1));
      putText(e.what());
    };
    for (size_t i = 0; words > 0 && i + words <= texts.size(); i += words) {
      try {
        WordIds w = tokenizer.encodeWords(std::span(texts).subspan(i, words), {.special = options.special, .limits = false, .atMost = options.atMost});
        putNumbers(w.ids);
        putNumbers(w.starts);
      } catch (const Error &e) {
        putError(e);
      }
    }
    for (size_t i = 0; words == 0 && i + pairs < texts.size(); i += 1 + pairs) {
      try {
        Encoding e = pairs ? tokenizer.encode(texts[i], texts[i + 1], options) : tokenizer.encode(texts[i], options);
        std::string back = tokenizer.decode(e.ids);
        putNumbers(e.ids);
        for (int32_t type : e.types)
          put(uint32_t(type));
        for (Span s : e.offsets)
          put(s.begin), put(s.end);
        putText(back);
      } catch (const Error &e) {
        putError(e);
      }
    }
  } catch (const Error &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
