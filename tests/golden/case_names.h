#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace hyperx::golden {

// The authors' name of a parameter -> ours: "encoder.encoder.hypernet.meta_down_sampler.weight_generator.0.bias" ->
// "hypernetwork.weight_down.bias". Names of the encoder's own tensors get "encoder." in front where the case has
// "bert.". Empty where we hold nothing of that name.
std::string our_name(const std::string& original);

inline std::vector<std::string> strings(const nlohmann::json& list) { return list.get<std::vector<std::string>>(); }

}  // namespace hyperx::golden
