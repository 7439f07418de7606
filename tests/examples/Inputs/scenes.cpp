// What the linked flow says of pictures, a face a line.
#include <cstdio>
#include <scenes.hpp>

int main(int argc, char **argv) {
  scenes::Model model(argv[1]);
  std::vector<bigm::Image> photos;
  for (int i = 2; i < argc; ++i)
    photos.push_back(bigm::Image::file(argv[i]));
  for (const auto &seen : model.faces_of(photos)) {
    std::printf("%zu\n", seen.faces.size());
    for (const auto &f : seen.faces)
      std::printf("%.9g %.9g %.9g %.9g %.9g %s %s %s\n", f.where.left, f.where.top, f.where.right, f.where.bottom, f.score,
                  std::string(f.hair).c_str(), std::string(f.eyes).c_str(), std::string(f.nose).c_str());
  }
  return 0;
}
