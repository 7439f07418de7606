// One record on its way in, given part by part: each value by its path (`photo`, `things.where`), elements of lists one after
// the other, each complete before the next begins.
#pragma once
#include "Flow.h"

namespace bigm::flow {

class Gather {
public:
  explicit Gather(const Flow &flow) : flow(flow) {}

  /// The type that stands at a path. Throws data::Error where there is none, or it is of another kind than `what` says.
  const RichType &at(const std::string &path, RichType::Kind kind, const char *what) const;
  void give(const std::string &path, Item value);
  /// What was given since the last element of the list (or value that may be missing) at `path` is one more. Throws
  /// data::Error where a part is missing; what was given of it is dropped.
  void element(const std::string &path);
  /// The record's inputs. Throws data::Error where one is missing. All is forgotten, also then.
  std::vector<Item> record();
  void clear() { pending.clear(); }

private:
  struct Pending {
    bool given = false;
    Item value;                 // of a path that is no list
    std::vector<Item> elements; // of one that is
  };
  Item take(const RichType &type, const std::string &path);
  const RichType *find(const std::string &path) const;

  const Flow &flow;
  std::map<std::string, Pending> pending;
};

} // namespace bigm::flow
