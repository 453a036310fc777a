#pragma once

#include "data/source/sentence_reader.h"
#include "data/tasks/task_set.h"
#include "tests/fuzz/fuzz.h"

namespace hyperx::fuzz {

// Reads a file of sentences to its end, as `prepare` does, and checks the shapes that sentence_reader.h promises.
inline void read_sentences(data::SourceSpec spec, const data::Task& task) {
  may_refuse([&] {
    task.complete(spec);
    const auto reader = data::open_source(spec, task);
    for (data::Sentence sentence; reader->next(sentence);) {
      const size_t words = sentence.words.size();
      const auto fits = [words](size_t size) { return size == 0 || size == words; };
      HYPERX_CHECK(words > 0 && sentence.lines.size() == words, "a sentence without words");
      HYPERX_CHECK(fits(sentence.tags.size()) && sentence.labels.size() == sentence.tags.size() &&
                       fits(sentence.ids.size()) && fits(sentence.heads.size()) &&
                       sentence.relations.size() == sentence.heads.size(),
                   "a sentence whose parts have other sizes");
      for (const auto* views : {&sentence.words, &sentence.tags, &sentence.ids, &sentence.relations})
        for (const std::string_view view : *views) touch(view);
    }
  });
}

inline const data::TaskSet& all_tasks() {
  static const data::TaskSet tasks = data::TaskSet::all();
  return tasks;
}

}  // namespace hyperx::fuzz
