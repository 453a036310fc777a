#include "model/options.h"
#include "tests/fuzz/fuzz.h"

namespace hyperx::fuzz {

// A configuration file, read as one that an earlier version stored; what differs from the defaults is then written and
// read back to the same values.
void parse(std::string_view input) {
  const config::Schema& schema = model::options();
  const Config config = parse_config_text(schema, std::string(input), "input.conf", Removed::kRefuse);
  static const Config defaults;
  std::string changed;
  for (const config::Option& option : schema.options)
    if (option.get(config) != option.get(defaults)) changed += option.key + " = " + option.get(config) + "\n";
  const Config again = must_accept([&] { return parse_config_text(schema, changed, "written", Removed::kRefuse); });
  HYPERX_CHECK(dump_config(schema, again) == dump_config(schema, config), changed);
  schema.check(config, [](std::string_view) { return config::Source::kFile; });
}

}  // namespace hyperx::fuzz
