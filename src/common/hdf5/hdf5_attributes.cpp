#include <algorithm>

#include "common/errors.h"
#include "common/hdf5/hdf5_impl.h"

namespace hyperx::h5 {
namespace {

constexpr size_t kLongestAttribute = 60000;  // HDF5 keeps attributes in the object header only below 64 KiB

void require_one(const Handle& attribute, const Place& place) {
  const Handle space(H5Aget_space(attribute.get()), &H5Sclose, "H5Aget_space", place);
  if (check(H5Sget_simple_extent_npoints(space.get()), "H5Sget_simple_extent_npoints", place) != 1)
    throw UserError(ExitCode::kBadData, place.file + ": " + place.object + ": holds more or less than one value");
}

}  // namespace

void File::Impl::put_attribute(const std::string& object, const std::string& name, hid_t type, const void* data) {
  const Place place = at(object + "@" + name);
  const Handle owner = open_object(object);
  if (check(H5Aexists(owner.get(), name.c_str()), "H5Aexists", place) > 0)
    check(H5Adelete(owner.get(), name.c_str()), "H5Adelete", place);
  const Handle space(H5Screate(H5S_SCALAR), &H5Sclose, "H5Screate", place);
  Handle attribute(H5Acreate2(owner.get(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT), &H5Aclose,
                   "H5Acreate2", place);
  check(H5Awrite(attribute.get(), type, data), "H5Awrite", place);
  attribute.close("H5Aclose", place);
}

void File::set_attribute(const std::string& object, const std::string& name, const std::string& text) {
  HYPERX_CHECK(text.size() <= kLongestAttribute, "attribute " + name + " is too long: use write_text");
  impl_->step(object + "@" + name, [&] {
    const Place place = impl_->at(object + "@" + name);
    const Handle type(H5Tcopy(H5T_C_S1), &H5Tclose, "H5Tcopy", place);
    check(H5Tset_size(type.get(), std::max<size_t>(1, text.size())), "H5Tset_size", place);
    check(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "H5Tset_strpad", place);
    check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "H5Tset_cset", place);
    impl_->put_attribute(object, name, type.get(), text.c_str());
  });
}

void File::set_attribute(const std::string& object, const std::string& name, int64_t value) {
  impl_->step(object + "@" + name, [&] { impl_->put_attribute(object, name, H5T_STD_I64LE, &value); });
}

std::string File::text_attribute(const std::string& object, const std::string& name) const {
  const Place place = impl_->at(object + "@" + name);
  const Handle owner = impl_->open_object(object);
  const Handle attribute(H5Aopen(owner.get(), name.c_str(), H5P_DEFAULT), &H5Aclose, "H5Aopen", place);
  const Handle type(H5Aget_type(attribute.get()), &H5Tclose, "H5Aget_type", place);
  if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) > 0)
    throw UserError(ExitCode::kBadData, impl_->path + ": " + place.object + ": a text of fixed length is expected");
  require_one(attribute, place);
  if (H5Tget_size(type.get()) > static_cast<size_t>(impl_->file_bytes))
    throw UserError(ExitCode::kBadData, impl_->path + ": " + place.object + ": is longer than the file");
  std::string text(H5Tget_size(type.get()), '\0');
  check(H5Aread(attribute.get(), type.get(), text.data()), "H5Aread", place);
  text.resize(text.find_last_not_of('\0') + 1);
  return text;
}

int64_t File::int_attribute(const std::string& object, const std::string& name) const {
  const Place place = impl_->at(object + "@" + name);
  const Handle owner = impl_->open_object(object);
  const Handle attribute(H5Aopen(owner.get(), name.c_str(), H5P_DEFAULT), &H5Aclose, "H5Aopen", place);
  require_one(attribute, place);
  int64_t value = 0;
  check(H5Aread(attribute.get(), H5T_STD_I64LE, &value), "H5Aread", place);
  return value;
}

bool File::has_attribute(const std::string& object, const std::string& name) const {
  const Handle owner = impl_->open_object(object);
  return check(H5Aexists(owner.get(), name.c_str()), "H5Aexists", impl_->at(object + "@" + name)) > 0;
}

}  // namespace hyperx::h5
