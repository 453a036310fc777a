#include "model/heads/head_spec.h"

#include "common/errors.h"

namespace hyperx::model {

#define HEAD(name) HeadSpec name##_spec();
#include "model/heads/rows.inc"
#undef HEAD

const std::vector<HeadSpec>& head_specs() {
  static const std::vector<HeadSpec> specs = {
#define HEAD(name) name##_spec(),
#include "model/heads/rows.inc"
#undef HEAD
  };
  return specs;
}

size_t find_head(std::string_view kind) {
  for (size_t i = 0; i < head_specs().size(); ++i)
    if (head_specs()[i].kind == kind) return i;
  HYPERX_CHECK(false, "no row of model/heads/rows.inc is called " + std::string(kind));
}

HeadCosts head_costs(const HeadQuestion& question) {
  return head_specs().at(find_head(question.task.head())).costs(question);
}

}  // namespace hyperx::model
