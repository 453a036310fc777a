# A method that only this program has: one more row, found before that of src/ (rows/), and the two files that read the rows.
add_executable(probe_method_tests model/methods/probe/probe.cpp model/methods/probe/probe_spec.cpp
  model/methods/probe/probe_test.cpp model/methods/costs_test.cpp trainer/tiny_training.cpp data/corpus/corpus_fixture.cpp
  ${CMAKE_SOURCE_DIR}/src/model/methods/methods.cpp ${CMAKE_SOURCE_DIR}/src/model/methods/method_spec.cpp)
target_include_directories(probe_method_tests BEFORE PRIVATE model/methods/probe/rows)
target_link_libraries(probe_method_tests PRIVATE hyperx_trainer hyperx_test_config hyperx_warnings GTest::gmock_main)
target_precompile_headers(probe_method_tests REUSE_FROM hyperx_model)
gtest_discover_tests(probe_method_tests TEST_PREFIX "model/methods/probe." DISCOVERY_TIMEOUT 60 PROPERTIES LABELS unit)
