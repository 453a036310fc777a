# Our CUDA kernels on the CPU: the same sources as C++, with a stand-in for CUDA (cuda_on_host.h). Needs no nvcc.
file(GLOB kernel_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/model/ops/cuda/*.cu)
file(GLOB kernel_test_sources CONFIGURE_DEPENDS model/cuda/*.cpp)
set_source_files_properties(${kernel_sources} PROPERTIES LANGUAGE CXX)
add_executable(cuda_kernel_tests ${kernel_test_sources} ${kernel_sources})
# The stand-in for launch.cuh comes first; another namespace, as hyperx_model holds what nvcc made of the same sources.
target_include_directories(cuda_kernel_tests BEFORE PRIVATE model/cuda/emulated)
target_compile_definitions(cuda_kernel_tests PRIVATE HYPERX_KERNEL_BUILD=on_host)
target_link_libraries(cuda_kernel_tests PRIVATE hyperx_model hyperx_test_config hyperx_warnings GTest::gmock_main)
gtest_discover_tests(cuda_kernel_tests TEST_PREFIX "model." DISCOVERY_TIMEOUT 60 PROPERTIES LABELS unit)
