// Looks at photographs with the library that bigmc makes of scenes.bigm, and counts the faces of each kind.
//   scenes-app WEIGHTS PICTURE...
#include <chrono>
#include <cstdio>
#include <map>
#include <scenes.hpp>
#include <string>

int main(int argc, char **argv) try {
  if (argc < 3) {
    std::fprintf(stderr, "usage: scenes-app WEIGHTS PICTURE...\n");
    return 2;
  }
  scenes::Model model(argv[1]);
  std::vector<bigm::Image> photos;
  for (int i = 2; i < argc; ++i)
    photos.push_back(bigm::Image::file(argv[i]));
  auto start = std::chrono::steady_clock::now();
  auto seen = model.faces_of(photos); // all faces of all photographs go through the trunk together
  double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  size_t all = 0;
  for (int i = 2; i < argc; ++i) {
    const auto &faces = seen[size_t(i - 2)].faces;
    std::map<std::string, int> hair;
    for (const auto &face : faces)
      ++hair[std::string(face.hair)];
    std::printf("%s: %zu faces", argv[i], faces.size());
    for (auto &[colour, count] : hair)
      std::printf(", %d with %s hair", count, colour.c_str());
    std::printf("\n");
    all += faces.size();
  }
  std::printf("looked at %d photographs with %zu faces in %.1f ms\n", argc - 2, all, ms);
  return 0;
} catch (const bigm::Error &error) {
  std::fprintf(stderr, "scenes-app: %s\n", error.what());
  return 1;
}
