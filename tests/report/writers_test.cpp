#include "report/writers.h"

#include <gmock/gmock.h>

#include "common/quoting.h"
#include "report/escape.h"
#include "report/write_html.h"
#include "tests/report/sample_runs.h"
#include "tests/support/text.h"

namespace hyperx::report {
namespace {

using hyperx::test::count_of;
using hyperx::test::SampleRuns;
using testing::HasSubstr;
using testing::Not;

// A label with what each format gives a meaning to.
constexpr char kHostile[] = R"(<script>&"'%_#${}~^\|*`[,)";

class WritersTest : public testing::Test {
 protected:
  WritersTest() {
    runs_.add("a", 1, {{"pos:tr", 0.5}, {"ner:tr", 0.25}});
    runs_.add("b c&d", 1, {{"pos:tr", 0.75, true}, {"ner:tr", 0.125}},
              [](Config& config) { config.train.learning_rate = 1e-3; });
    report_ =
        make_report(select_systems({kHostile + std::string("=") + runs_.path("a"), runs_.path("b c&d")}, {}), {}, "");
  }
  SampleRuns runs_;
  Report report_;
};

TEST_F(WritersTest, HtmlHasNoMarkupOfALabel) {
  const std::string page = html_report(report_, all_figures(report_), runs_.path());
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;&amp;&quot;&#39;%_"));
  EXPECT_THAT(page, HasSubstr("href=\"b%20c%26d/results/step-0000010/test/pos.tr.json\""));
  EXPECT_THAT(page, HasSubstr("href=\"b%20c%26d/config.conf\""));
  EXPECT_THAT(page, Not(HasSubstr("http://127")));
  EXPECT_THAT(page, Not(HasSubstr("src=")));
}

TEST_F(WritersTest, LatexHasBooktabsAndEscapesLabels) {
  const std::string text = latex_report(report_);
  EXPECT_THAT(text, HasSubstr(R"(\textless{}script\textgreater{}\&\textquotedbl{}'\%\_\#\$\{\}\textasciitilde{})"));
  for (const char* part : {"\\toprule", "\\bottomrule", "\\begin{tabular}{lrrr}", "\\end{table}"})
    EXPECT_EQ(count_of(text, part), 2U) << part;
  EXPECT_THAT(text, HasSubstr("& 50.0 & \\textbf{75.0}$^{*}$ \\\\"));
  EXPECT_EQ(count_of(text, "{") - count_of(text, "\\{"), count_of(text, "}") - count_of(text, "\\}"));
}

TEST_F(WritersTest, MarkdownKeepsItsColumns) {
  const std::string text = markdown_report(report_);
  EXPECT_THAT(text, HasSubstr(R"(&lt;script&gt;&amp;"'%\_#${}~^\\\|\*\`\[,)"));
  EXPECT_THAT(text, HasSubstr("| Turkish (tr) | 100 | 50.0 | **75.0**\\* |"));
}

TEST_F(WritersTest, CsvHasALineForEachNumber) {
  const std::string text = csv_report(report_);
  EXPECT_THAT(text, HasSubstr("run,\"<script>&\"\"'%_#${}~^\\|*`[,\",hyperx,pos,tr,tur,nucl1301,Turkish,Turkic,"));
  EXPECT_EQ(count_of(text, "\nrun,"), 4U);
  EXPECT_EQ(count_of(text, "\nsystem,"), 4U);
  EXPECT_THAT(text, HasSubstr(",test,accuracy,1,0.5,"));
}

TEST(EscapeTest, ControlCharactersDoNotReachATerminalOrAPage) {
  EXPECT_EQ(plain_text("a\x1b[2Jb\nc"), "a [2Jb c");
  EXPECT_EQ(html_text("a\x1b"), "a ");
  EXPECT_EQ(csv_field("a\nb"), "\"a\nb\"");
  EXPECT_EQ(url_path("runs/a b/%/ü"), "runs/a%20b/%25/%C3%BC");
}

}  // namespace
}  // namespace hyperx::report
