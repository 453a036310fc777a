#pragma once

#include <any>
#include <map>
#include <typeindex>
#include <typeinfo>

namespace hyperx {

// The options of methods and tasks, one struct each, whose types common/config does not know. A struct that was never
// edited has its default values.
class Sections {
 public:
  template <class T>
  const T& get() const {
    static const T standard{};
    const auto found = values_.find(typeid(T));
    return found == values_.end() ? standard : *std::any_cast<T>(&found->second);
  }
  template <class T>
  T& edit() {
    std::any& value = values_[typeid(T)];
    if (!value.has_value()) value = T{};
    return *std::any_cast<T>(&value);
  }

 private:
  std::map<std::type_index, std::any> values_;
};

}  // namespace hyperx
