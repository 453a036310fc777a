#include "app/commands.h"
#include "tests/fuzz/fuzz.h"

// A run's state.json, as `hyperx status` shows it.
void hyperx::fuzz::parse(std::string_view input) {
  static const Command status = status_command();
  write("state.json", input);
  CommandLine line;
  line.objects = {folder()};
  may_refuse([&] { status.run(line); });
  line.flags = {{"json", ""}};
  status.run(line);
}
