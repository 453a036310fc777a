#include "app/commands.h"
#include "tests/fuzz/fuzz.h"

// An HDF5 file, as `hyperx inspect` shows it: every object of it, and all values.
void hyperx::fuzz::parse(std::string_view input) {
  static const Command inspect = inspect_command();
  CommandLine line;
  line.objects = {write("model.h5", input)};
  inspect.run(line);
}
