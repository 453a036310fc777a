#include "sweep/process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "common/errors.h"
#include "common/files.h"
#include "tests/support/folder.h"

namespace hyperx::sweep {
namespace {

int code_after(const Program& program) {
  int status = 0;
  EXPECT_GT(::waitpid(start(program), &status, 0), 0);
  return code_of(status);
}

TEST(ProcessTest, CoresAreSharedOutEvenly) {
  const std::vector<int> cores = {0, 1, 2, 5, 6};
  EXPECT_EQ(share_of(cores, 0, 2), (std::vector<int>{0, 1}));
  EXPECT_EQ(share_of(cores, 1, 2), (std::vector<int>{2, 5, 6}));
  EXPECT_EQ(share_of({3, 4}, 2, 3), (std::vector<int>{3}));  // more rows than cores
  EXPECT_EQ(share_of({}, 0, 2), (std::vector<int>{}));
}

TEST(ProcessTest, AProgramGetsItsCoresVariablesAndLog) {
  const test::TemporaryFolder folder;
  const int core = cores_of_this_process().front();
  Program program{{"sh", "-c", "nproc; echo \"$SET ${HOME-none}\"; echo error >&2; exit 7"}, {core}};
  program.variables = {{"SET", "two words"}, {"HOME", std::nullopt}};
  program.log = folder.write("log", "before\n");
  EXPECT_EQ(code_after(program), 7);
  EXPECT_EQ(read_file(program.log), "before\n1\ntwo words none\nerror\n");
}

TEST(ProcessTest, AProgramThatCannotStartIsAnErrorHere) {
  EXPECT_THROW(start({{"/nothing/here"}, {}}), SystemError);
  Program program{{"true"}, {}};
  program.log = "/nothing/here/log";
  EXPECT_THROW(start(program), SystemError);
}

TEST(ProcessTest, CodesAreThoseOfAShell) {
  EXPECT_EQ(code_after({{"sh", "-c", "kill -9 $$"}, {}}), 137);
  EXPECT_EQ(output_of({"sh", "-c", "echo out; exit 3"}).code, 3);
  EXPECT_EQ(output_of({"sh", "-c", "echo out; exit 3"}).text, "out\n");
}

TEST(ProcessTest, WordsAreQuotedForAShell) {
  const std::vector<std::string> words = {"printf", "%s|", "a b", "it's", "", "$HOME", "x;y", "pos:*"};
  EXPECT_EQ(output_of(words).text, "a b|it's||$HOME|x;y|pos:*|");
}

}  // namespace
}  // namespace hyperx::sweep
