#include <filesystem>

#include "app/commands.h"
#include "tests/fuzz/fuzz.h"
#include "trainer/run/metrics_file.h"

// A run's metrics.jsonl, as `hyperx status` shows it and as a run that continues after step 8 cuts it.
void hyperx::fuzz::parse(std::string_view input) {
  static const Command status = status_command();
  static const std::string state = write("state.json", R"({"state": "saved", "step": 8, "steps": 12, "world_size": 1,
"started": "2026-11-22T11:41:43Z", "heartbeat": "2026-11-22T11:41:43Z", "checkpoint": "step-0000008", "process": {}})");
  const std::string path = write("metrics.jsonl", input);
  CommandLine line;
  line.objects = {folder()};
  may_refuse([&] { status.run(line); });
  train::MetricsFile(path, 8).write({{"event", "step"}, {"step", 9}});
  std::filesystem::remove(path + ".damaged");  // a copy with the damaged lines
}
