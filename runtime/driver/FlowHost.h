// A program's flows with all they need to run: weights, tokenizers, and what writes texts.
#pragma once
#include "DataSets.h"
#include "Driver.h"
#include "Pretrained.h"
#include "Session.h"
#include "runtime/flow/Flow.h"

namespace bigm::driver {

/// The flows of a module's manifest.
std::vector<flow::Flow> flowsOf(const bigm_module *module);

class FlowHost {
public:
  /// `flows` are those of the session's manifest, one at least; tokenizers are those of `data`. All must outlive it.
  FlowHost(Session &session, DataSets &data, const CommonOptions &options, std::vector<flow::Flow> flows);

  /// The flow of this name, or the last one. Throws data::Error where there is none.
  const flow::Flow &choose(const std::string &name) const;
  /// From the run, or from the files that the program names. Throws data::Error where a training must come first.
  void loadWeights();
  Session &session() { return session_; }
  DataSets &data() { return data_; }

  /// What one thread at a time runs flows with: on the session's main context, or on one of its own.
  class Worker {
  public:
    explicit Worker(FlowHost &host, bigm_context *own = nullptr);
    Worker(const Worker &) = delete;

  private:
    generate::Engines engines;

  public:
    flow::Surroundings around; // looks at `engines`
  };

private:
  const CommonOptions &options;
  Session &session_;
  DataSets &data_;
  Places places;
  std::vector<flow::Flow> flows;
};

/// Whether a flow takes one value of the kind, a text or an image: then an input is that text or path, and no JSON.
bool takesOne(const flow::Flow &flow, flow::RichType::Kind kind);
/// A record as people write it: a text or a path as it stands where the flow takes one, else JSON. Throws data::Error.
nlohmann::ordered_json parsedRecord(const flow::Flow &flow, const std::string &input);
/// The records that an input stands for: an .npy file, where the flow takes numbers, holds one or several. Throws data::Error.
std::vector<std::string> recordsIn(const flow::Flow &flow, const std::string &input);

} // namespace bigm::driver
