#include "data/tasks/result_table.h"
#include "tests/fuzz/fuzz.h"

// The result file of a pair; what is written of it reads back to the same text.
void hyperx::fuzz::parse(std::string_view input) {
  const data::EvaluationResult result = data::result_from_json(std::string(input), "pos.tr.json");
  const std::string text = data::result_to_json(result);
  const auto again = must_accept([&] { return data::result_from_json(text, "written.json"); });
  HYPERX_CHECK(data::result_to_json(again) == text, text);
  touch(data::results_table({result}, std::nullopt));
}
