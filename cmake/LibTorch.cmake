# LibTorch out of the PyPI wheel `torch`: HYPERX_LIBTORCH is the folder it was unpacked to, with the few NVIDIA wheels that
# libtorch_cpu.so itself is linked to beside it (launch/setup makes it). Its own TorchConfig.cmake demands a whole CUDA toolkit
# even for a CPU build, so the libraries are named here.
#
# Makes the target hyperx::torch, and HYPERX_WITH_CUDA; with it the language CUDA is enabled.
if(NOT HYPERX_LIBTORCH)
  set(cache_home "$ENV{XDG_CACHE_HOME}")
  if(NOT cache_home)
    set(cache_home "$ENV{HOME}/.cache")
  endif()
  set(HYPERX_LIBTORCH "${cache_home}/hyperx/libtorch-2.11.0" CACHE PATH "" FORCE)
endif()
set(torch_root ${HYPERX_LIBTORCH}/torch)
if(NOT EXISTS ${torch_root}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "LibTorch is not in ${HYPERX_LIBTORCH}: run launch/setup, or name its folder with -DHYPERX_LIBTORCH=DIR")
endif()

set(HYPERX_WITH_CUDA OFF)
if(NOT HYPERX_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  find_package(CUDAToolkit 13 QUIET)
  find_path(HYPERX_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ${HYPERX_LIBTORCH}/nvidia/nccl/include)
  find_library(HYPERX_NCCL_LIBRARY NAMES nccl libnccl.so.2
               HINTS ${HYPERX_LIBTORCH}/nvidia/nccl/lib ${CUDAToolkit_LIBRARY_DIR} /usr/local/cuda/lib)
  if(CUDAToolkit_FOUND AND CMAKE_CUDA_COMPILER AND HYPERX_NCCL_INCLUDE AND HYPERX_NCCL_LIBRARY AND EXISTS ${torch_root}/lib/libtorch_cuda.so)
    set(HYPERX_WITH_CUDA ON)
  elseif(HYPERX_CUDA STREQUAL "ON")
    message(FATAL_ERROR "HYPERX_CUDA=ON, but not all of it is here: CUDA 13 toolkit ${CUDAToolkit_FOUND}, "
                        "nvcc ${CMAKE_CUDA_COMPILER}, "
                        "nccl.h ${HYPERX_NCCL_INCLUDE}, libnccl ${HYPERX_NCCL_LIBRARY}")
  endif()
endif()
message(STATUS "CUDA and NCCL code: ${HYPERX_WITH_CUDA}")

if(HYPERX_WITH_CUDA)
  # A100 and H100 or H200; later GPUs compile what is kept for them when they load it.
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 90-virtual CACHE STRING "GPUs that our own kernels are compiled for")
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER} CACHE FILEPATH "compiler of the host's half of CUDA sources")
  endif()
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # LibTorch's: two of them in one process would not know each other's state
  if(CMAKE_CXX_COMPILER_LAUNCHER AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know yet that nvcc has C++20
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
endif()

file(GLOB nvidia_lib_dirs ${HYPERX_LIBTORCH}/nvidia/*/lib)
add_library(hyperx_torch INTERFACE)
add_library(hyperx::torch ALIAS hyperx_torch)
# After the system's own folders: the wheel brings an fmt of another version than the one that spdlog is linked to.
target_compile_options(hyperx_torch INTERFACE "SHELL:-idirafter ${torch_root}/include"
                       "SHELL:-idirafter ${torch_root}/include/torch/csrc/api/include")
# One OpenMP runtime must serve LibTorch's loops and our own: with two, every thread takes itself for the first, and results are
# wrong. Clang's has the entry points of GCC's as well.
set(openmp_runtime ${torch_root}/lib/libgomp.so.1)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  string(REGEX MATCH "^[0-9]+" clang_major ${CMAKE_CXX_COMPILER_VERSION})
  find_library(HYPERX_LIBOMP omp PATHS /usr/lib/llvm-${clang_major}/lib REQUIRED)
  set(openmp_runtime ${HYPERX_LIBOMP})
endif()
target_link_libraries(hyperx_torch INTERFACE ${torch_root}/lib/libtorch_cpu.so ${torch_root}/lib/libc10.so ${openmp_runtime})
foreach(dir ${nvidia_lib_dirs})
  target_link_options(hyperx_torch INTERFACE "LINKER:-rpath-link,${dir}")
endforeach()
if(HYPERX_WITH_CUDA)
  target_compile_definitions(hyperx_torch INTERFACE HYPERX_WITH_CUDA=1)
  target_include_directories(hyperx_torch SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS} ${HYPERX_NCCL_INCLUDE})
  target_link_libraries(hyperx_torch INTERFACE
    "-Wl,--push-state,--no-as-needed" ${torch_root}/lib/libtorch_cuda.so ${torch_root}/lib/libc10_cuda.so
    "-Wl,--pop-state" CUDA::cudart ${HYPERX_NCCL_LIBRARY})
  target_link_options(hyperx_torch INTERFACE "LINKER:-rpath-link,${CUDAToolkit_LIBRARY_DIR}" "LINKER:--allow-shlib-undefined")
endif()
