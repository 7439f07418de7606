// Reading is the core's (bigm_model_load takes tensors by their whole names only); here is the matching of names.
#include "StartFrom.h"
#include "runtime/core/Failure.h"
#include "runtime/core/Safetensors.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <fmt/ranges.h>
#include <memory>

namespace bigm::driver {
using data::fail;

namespace {

std::string typeText(const TensorInfo &t) { return data::name(t.elem) + data::shapeText(t.shape); }

} // namespace

std::set<int32_t> startFrom(Session &session, const std::string &train, const std::string &path) {
  auto &tensors = session.program().tensors;
  std::unique_ptr<rt::SafetensorsFile> file;
  try {
    file = std::make_unique<rt::SafetensorsFile>(path);
  } catch (const rt::Failure &e) {
    throw data::Error(e.what());
  }
  std::vector<std::pair<int32_t, const rt::SafetensorsEntry *>> copies;
  std::vector<std::string> unknown, different;
  for (auto &entry : file->entries()) {
    if (entry.name.ends_with("num_batches_tracked"))
      continue;
    // The fitted values of a run's own weights file come from this program's fits.
    if (std::any_of(tensors.begin(), tensors.end(), [&](auto &t) { return t.kind == "fit" && t.name == entry.name; }))
      continue;
    int32_t which = -1;
    for (size_t i = 0; i < tensors.size(); ++i)
      if ((tensors[i].kind == "param" || tensors[i].kind == "state") &&
          (tensors[i].name == train + "." + entry.name || tensors[i].name == entry.name))
        which = int32_t(i);
    if (which < 0) {
      unknown.push_back(entry.name);
      continue;
    }
    const TensorInfo &t = tensors[size_t(which)];
    if (entry.dtype == int32_t(t.elem) && entry.shape == t.shape)
      copies.emplace_back(which, &entry);
    else
      different.push_back(fmt::format("`{}` is {}{} in the file and {} in the model", entry.name, entry.dtypeName,
                                      data::shapeText(entry.shape), typeText(t)));
  }
  if (!different.empty())
    fail("{}: does not fit the model: {}", path, fmt::join(different, "; "));
  if (!unknown.empty()) {
    size_t all = unknown.size();
    unknown.resize(std::min<size_t>(all, 5));
    std::vector<std::string> names;
    for (auto &t : tensors)
      if (t.name.starts_with(train + ".") && (t.kind == "param" || t.kind == "state") && names.size() < 8)
        names.push_back(t.name.substr(train.size() + 1));
    fail("{}: holds {} tensor{} that the model lacks: {}{}; the model has {}, ...", path, all, all == 1 ? "" : "s",
         fmt::join(unknown, ", "), all > 5 ? ", ..." : "", fmt::join(names, ", "));
  }
  std::set<int32_t> written;
  for (auto &[tensor, entry] : copies) {
    expect(bigm_model_write(session.model(), tensor, entry->data, entry->bytes));
    written.insert(tensor);
  }
  return written;
}

} // namespace bigm::driver
