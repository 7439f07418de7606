// How a flow serves: several clients that ask one after the other, for a while.
#include "Driver.h"
#include "FlowHost.h"
#include "Guard.h"
#include "runtime/data/Error.h"
#include <algorithm>
#include <chrono>
#include <numeric>
#include <nlohmann/json.hpp>
#include <thread>

namespace bigm::driver {
namespace {
using Clock = std::chrono::steady_clock;
using data::fail;

struct Client {
  bigm_context *context = nullptr;
  std::vector<double> milliseconds; // of each answer
  std::vector<std::pair<std::string, double>> steps; // all of each step's
  std::string problem;
  ~Client() { bigm_context_destroy(context); }
};

/// Answers requests in turn until the time is over; the first round warms up and is not counted.
void serve(FlowHost &host, const flow::Flow &flow, const std::vector<std::string> &inputs, size_t first, double seconds, Client &client) {
  try {
    FlowHost::Worker worker(host, client.context);
    auto ask = [&](const std::string &input) {
      flow::Slots slots;
      auto start = Clock::now();
      flow::append(flow, parsedRecord(flow, input), slots, worker.around);
      if (!client.steps.empty())
        client.steps[0].second += std::chrono::duration<double, std::milli>(Clock::now() - start).count();
      flow::run(flow, slots, worker.around);
      flow::result(flow, slots, 0);
    };
    for (auto &input : inputs)
      ask(input);
    client.steps.emplace_back("reading", 0);
    for (auto &step : flow.steps)
      client.steps.emplace_back(step.op == "call" ? step.name : step.outputs.empty() ? step.op : step.op + " " + step.outputs[0], 0);
    size_t next = 0;
    worker.around.timed = [&](const flow::Step &, double ms) { client.steps.at(1 + next++ % flow.steps.size()).second += ms; };
    auto begin = Clock::now();
    for (size_t i = first;; ++i) {
      auto start = Clock::now();
      if (std::chrono::duration<double>(start - begin).count() >= seconds)
        return;
      ask(inputs[i % inputs.size()]);
      client.milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
  } catch (const std::exception &e) {
    client.problem = e.what();
  }
}

} // namespace

Served bench(const bigm_module *module, const BenchOptions &options, const std::vector<std::string> &given) {
  Served served;
  served.result = guarded([&]() -> Result {
    auto flows = flowsOf(module);
    if (flows.empty())
      fail("the program has no flow to serve; `bigmc profile` measures its functions");
    Session session(module, options.threads);
    DataSets data(session, options.dataDir, 1); // for its tokenizers
    FlowHost host(session, data, options, std::move(flows));
    const flow::Flow &flow = host.choose(options.flow);
    host.loadWeights();
    std::vector<std::string> inputs;
    for (auto &input : given)
      for (auto &record : recordsIn(flow, input))
        inputs.push_back(std::move(record));
    int threads = std::max(1, host.session().threads() / options.clients);
    std::vector<Client> clients(static_cast<size_t>(options.clients));
    for (auto &client : clients) {
      auto contextOptions = BIGM_INIT(bigm_context_options);
      contextOptions.threads = threads;
      expect(bigm_context_create(host.session().model(), &contextOptions, &client.context));
    }
    std::vector<std::thread> running;
    for (size_t c = 0; c < clients.size(); ++c)
      running.emplace_back([&, c] { serve(host, flow, inputs, c, options.seconds, clients[c]); });
    for (auto &thread : running)
      thread.join();
    std::vector<double> all;
    for (auto &client : clients) {
      if (!client.problem.empty())
        fail("{}", client.problem);
      all.insert(all.end(), client.milliseconds.begin(), client.milliseconds.end());
    }
    if (all.empty())
      fail("no request was answered in {} s; a longer `--seconds` is needed", options.seconds);
    std::sort(all.begin(), all.end());
    nlohmann::ordered_json steps = nlohmann::ordered_json::object();
    std::string stepText;
    for (size_t i = 0; i < clients[0].steps.size(); ++i) {
      double sum = 0;
      for (auto &client : clients)
        sum += client.steps[i].second;
      steps[clients[0].steps[i].first] = sum / double(all.size());
      stepText += fmt::format("  {:<40} {:.3f}\n", clients[0].steps[i].first, sum / double(all.size()));
    }
    // The smallest latency that so many of all requests do not exceed.
    auto at = [&](double share) { return all[std::min(all.size() - 1, size_t(std::max(0.0, std::ceil(share * double(all.size())) - 1)))]; };
    double mean = std::accumulate(all.begin(), all.end(), 0.0) / double(all.size()), each = double(all.size()) / options.seconds;
    served.json = nlohmann::ordered_json{{"flow", flow.name},   {"clients", options.clients}, {"threads_each", threads},
                                         {"seconds", options.seconds}, {"requests", all.size()},     {"per_second", each},
                                         {"mean_ms", mean},     {"p50_ms", at(0.5)},          {"p90_ms", at(0.9)},
                                         {"p99_ms", at(0.99)},  {"max_ms", all.back()},  {"steps_ms", steps}}.dump();
    served.text = fmt::format("flow `{}`: {} client{} of {} thread{} each, {} s\n"
                              "{} requests, {:.1f} a second\n"
                              "latency in ms: mean {:.2f}, p50 {:.2f}, p90 {:.2f}, p99 {:.2f}, max {:.2f}\n"
                              "of it, on average:\n{}",
                              flow.name, options.clients, options.clients == 1 ? "" : "s", threads, threads == 1 ? "" : "s",
                              options.seconds, all.size(), each, mean, at(0.5), at(0.9), at(0.99), all.back(), stepText);
    return {};
  });
  return served;
}

} // namespace bigm::driver
