#include "common/errors.h"
#include "common/hdf5/hdf5_file.h"

namespace hyperx::h5 {

size_t size_of(Type type) {
  switch (type) {
    case Type::kUInt8:
      return 1;
    case Type::kBFloat16:
    case Type::kInt16:
      return 2;
    case Type::kFloat32:
    case Type::kInt32:
      return 4;
    case Type::kFloat64:
    case Type::kInt64:
    case Type::kUInt64:
      return 8;
  }
  HYPERX_CHECK(false, "unknown element type");
}

const char* name_of(Type type) {
  switch (type) {
    case Type::kFloat32:
      return "float32";
    case Type::kFloat64:
      return "float64";
    case Type::kBFloat16:
      return "bfloat16";
    case Type::kInt16:
      return "int16";
    case Type::kInt32:
      return "int32";
    case Type::kInt64:
      return "int64";
    case Type::kUInt8:
      return "uint8";
    case Type::kUInt64:
      return "uint64";
  }
  HYPERX_CHECK(false, "unknown element type");
}

}  // namespace hyperx::h5
