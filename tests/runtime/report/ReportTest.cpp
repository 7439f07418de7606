#include "runtime/report/Report.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <cmath>
#include <cstdlib>
#include <fstream>

using namespace bigm::report;
using testing::HasSubstr;
using testing::Not;

namespace {

/// A report with one of everything. BIGM_REPORT_OUT=FILE writes it, to be looked at in a browser.
Report full() {
  Report r;
  r.title = "digits & <letters>";
  r.subtitle = "trained today, 1:07 in all, done";
  r.numbers = {{"accuracy", "0.9931"}, {"recall(macro)", "0.9930"}};
  r.gates = {{"accuracy >= 0.992", true, "0.9931"}, {"f1 >= 0.999", false, "0.9929"}};
  Chart loss{"loss", {{"training", {}, false}, {"validation", {}, true}}, {{0, "head"}, {400, "all"}}, false};
  for (int i = 0; i < 300; ++i)
    loss.curves[0].points.emplace_back(i * 7, 2.3 * std::exp(-i / 40.0) + .05 + .04 * std::sin(i * 2.7));
  for (int i = 1; i < 6; ++i)
    loss.curves[1].points.emplace_back(i * 420, .5 / i);
  Chart valid{"validation", {{"accuracy", {}, true}, {"f1", {}, true}}, loss.phases, true};
  for (int i = 1; i < 6; ++i) {
    valid.curves[0].points.emplace_back(i * 420, 1 - .05 / i);
    valid.curves[1].points.emplace_back(i * 420, 1 - .06 / i);
  }
  r.charts = {loss, valid};
  r.headsTitle = "on digits.test, 10,000 records";
  Head head{"digit", {}, {}, {}, 69};
  for (int t = 0; t < 10; ++t) {
    head.classes.push_back(std::to_string(t));
    head.counts.emplace_back();
    for (int g = 0; g < 10; ++g)
      head.counts.back().push_back(t == g ? 990 : (t * 7 + g * 3) % 5 == 0 ? 1 + (t * g) % 6 : 0);
  }
  for (int i = 0; i < 12; ++i) {
    Mistake m{std::to_string(i % 10), std::to_string((i + 3) % 10), 1 - i * .03, i * 81, {1, 28, 28, bigm::data::Bytes(784)}};
    for (int k = 0; k < 784; ++k)
      m.picture.pixels[size_t(k)] = uint8_t(std::hypot(k % 28 - 14, k / 28 - 14) < 4 + i % 5 ? 255 : 20);
    head.worst.push_back(m);
  }
  r.heads = {head};
  r.tables = {{"Settings", {{"digits.head", "1 epoch in batches of 128"}, {"threads", "2"}}}, {"Versions", {{"source", std::string(64, 'a')}}}};
  return r;
}

} // namespace

TEST(Report, isOnePageWithNothingFromOutside) {
  std::string page = render(full());
  if (const char *out = std::getenv("BIGM_REPORT_OUT"))
    std::ofstream(out) << page;
  EXPECT_THAT(page, HasSubstr("<!doctype html>"));
  for (auto bad : {"http:", "https:", "<script", "<link", "@import", "url(http"})
    EXPECT_THAT(page, Not(HasSubstr(bad)));
  EXPECT_THAT(page, HasSubstr("src=\"data:image/png;base64,iVBORw0KGgo"));
  EXPECT_EQ(page, render(full())) << "the same run gives the same bytes";
}

TEST(Report, escapesWhatIsNotItsOwn) {
  std::string page = render(full());
  EXPECT_THAT(page, HasSubstr("digits &amp; &lt;letters&gt;"));
  EXPECT_THAT(page, HasSubstr("accuracy &gt;= 0.992"));
}

TEST(Report, anEmptyRunIsAPageToo) {
  EXPECT_THAT(render({}), HasSubstr("</html>"));
  Report r;
  r.charts = {{"loss", {{"training", {{5, .3}}, false}}, {}, false}, {"none", {}, {}, false}};
  EXPECT_THAT(render(r), HasSubstr("<circle"));
}

TEST(Report, manyClassesAreListedByPairs) {
  Report r;
  Head head{"word", {}, {}, {}, 3};
  for (int i = 0; i < 40; ++i) {
    head.classes.push_back("w" + std::to_string(i));
    head.counts.emplace_back(40, 0);
  }
  head.counts[3][5] = 3;
  r.heads = {head};
  EXPECT_THAT(render(r), HasSubstr("<tr><td>w3</td><td>w5</td><td>3</td></tr>"));
}
