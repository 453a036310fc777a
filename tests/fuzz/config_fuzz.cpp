#include "model/options.h"
#include "tests/fuzz/fuzz.h"

// A configuration file, read as one of this version and as one that an earlier version stored; what is written of it
// reads back to the same values.
void hyperx::fuzz::parse(std::string_view input) {
  const config::Schema& schema = model::options();
  const std::string text(input);
  for (const Removed removed : {Removed::kRefuse, Removed::kPassOver}) {
    may_refuse([&] {
      const Config config = parse_config_text(schema, text, "input.conf", removed);
      const std::string dump = dump_config(schema, config);
      const Config again = must_accept([&] { return parse_config_text(schema, dump, "written.conf", removed); });
      HYPERX_CHECK(dump_config(schema, again) == dump, dump);
      schema.check(config, [](std::string_view) { return config::Source::kFile; });
    });
  }
}
