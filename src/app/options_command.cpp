#include <iostream>

#include "app/commands.h"
#include "model/options.h"

namespace hyperx {

Command options_command() {
  CommandSpec spec;
  spec.name = "options";
  spec.usage = "hyperx options";
  spec.summary = "prints every configuration key as a Markdown table";
  spec.help = "configs/OPTIONS.md is this command's output:\n  hyperx options > configs/OPTIONS.md";
  return {spec, [](const CommandLine&) {
            std::cout << options_markdown(model::options());
            return 0;
          }};
}

}  // namespace hyperx
