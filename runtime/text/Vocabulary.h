// Tokens by number and numbers by token, in one block of memory.
#pragma once
#include "Settings.h"
#include <optional>
#include <string_view>
#include <vector>

namespace bigm::text {

class Vocabulary {
public:
  /// Makes room for about so many tokens.
  void reserve(size_t tokens);
  /// A token given twice has the later id; an id given twice keeps the first token. Returns false, and adds nothing, for
  /// an id that is far beyond the number of tokens (it would cost memory that no token needs).
  bool add(std::string_view token, int32_t id, size_t tokensInAll);
  std::optional<int32_t> id(std::string_view token) const;
  /// Empty for an id without token.
  std::string_view token(int32_t id) const;
  bool has(int32_t id) const { return id >= 0 && size_t(id) < byId.size() && byId[size_t(id)].length != kNone; }
  size_t tokens() const { return filled; }        // different ones
  int32_t ids() const { return int32_t(byId.size()); } // the largest id and one

  /// From a JSON object {token: id}.
  static Vocabulary read(const Settings &settings);

private:
  static constexpr uint32_t kNone = ~uint32_t(0);
  struct Entry {
    uint32_t begin = 0, length = kNone;
  };
  struct Slot {
    uint32_t begin = 0, length = kNone;
    int32_t id = 0;
    uint32_t hash = 0;
  };
  std::string_view at(uint32_t begin, uint32_t length) const { return std::string_view(bytes).substr(begin, length); }
  void grow(size_t slots);
  std::string bytes;
  std::vector<Entry> byId;
  std::vector<Slot> slots; // open addressing; a power of two
  size_t filled = 0;
};

/// Values of sequences of bytes, for the longest beginning of a text that is one. Children are found by hash.
class Trie {
public:
  Trie() : nodes(1) { table.resize(16); }
  void add(std::string_view key, int32_t value);
  struct Node {
    int32_t value = -1; // of a key that ends here
  };
  /// The child of `node` by `byte`; 0 when there is none. The root is 0.
  uint32_t child(uint32_t node, uint8_t byte) const {
    uint64_t key = uint64_t(node) << 8 | byte;
    for (size_t i = slot(key);; i = (i + 1) & (table.size() - 1)) {
      const Edge &e = table[i];
      if (e.to == 0)
        return 0;
      if (e.key == key)
        return e.to;
    }
  }
  /// The value of a key, -1 when there is none.
  int32_t find(std::string_view key) const;
  int32_t value(uint32_t node) const { return nodes[node].value; }
  bool empty() const { return nodes.size() == 1; }

private:
  struct Edge {
    uint64_t key = 0;
    uint32_t to = 0;
  };
  size_t slot(uint64_t key) const { return (key * 0x9E3779B97F4A7C15ull >> 20) & (table.size() - 1); }
  std::vector<Node> nodes;
  std::vector<Edge> table;
};

} // namespace bigm::text
