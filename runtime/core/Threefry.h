// Random numbers as docs/abi.md defines them: counter based, so each is there without those before it.
#pragma once
#include <bit>
#include <cstdint>

namespace bigm::rt {

/// Threefry-2x32, 20 rounds: word 0 for (seed, stream, index). Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as
/// easy as 1, 2, 3", SC 2011.
inline uint32_t threefry(uint64_t seed, uint64_t stream, uint64_t index) {
  constexpr int rotations[] = {13, 15, 26, 6, 17, 29, 16, 24};
  uint32_t key[3] = {uint32_t(seed), uint32_t(seed >> 32), 0};
  key[2] = 0x1bd11bda ^ key[0] ^ key[1];
  uint32_t x = uint32_t(index), y = uint32_t(stream + (index >> 32) * 65536);
  x += key[0];
  y += key[1];
  for (int round = 0; round < 20; ++round) {
    x += y;
    y = std::rotl(y, rotations[round % 8]) ^ x;
    if (round % 4 == 3) {
      int s = round / 4 + 1;
      x += key[s % 3];
      y += key[(s + 1) % 3] + uint32_t(s);
    }
  }
  return x;
}

} // namespace bigm::rt
