#include "tests/report/sample_runs.h"

#include "data/tasks/task_set.h"
#include "model/options.h"

namespace hyperx::test {

void SampleRuns::write(const std::string& name, const Config& config, const std::vector<Score>& scores) const {
  folder_.write(name + "/config.conf", dump_config(model::options(), config));
  const std::string results = path(name) + "/results/step-0000010/test";
  make_folders(results);
  for (const Score& score : scores) {
    data::EvaluationResult result;
    result.pair = data::parse_pair(score.pair);
    result.split = "test";
    result.main_metric = data::TaskSet::all().at(result.pair.task).main_metric();
    result.metrics.values[result.main_metric] = score.value;
    result.trained = score.trained;
    result.sentences = score.sentences;
    result.words = 10 * score.sentences;
    result.corpus_xxh128 = std::string(32, '0');
    result.checkpoint_xxh128 = std::string(32, '1');
    result.signature = data::signature_line(result.pair, "test", score.source, result.sentences, result.words,
                                            result.main_metric + ",max_subwords=256,Float");
    data::write_result(results, result, score.predictions);
  }
}

}  // namespace hyperx::test
