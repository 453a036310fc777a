#pragma once

#include <string>

namespace hyperx::model {

// Options "hyperx.*": Üstün et al. 2022, section 3. Members are initialised with their defaults (Hyper-X Base).
struct HyperXOptions {
  int adapter_dim = 256;
  int task_dim = 64;
  int language_dim = 64;
  int layer_dim = 64;                           // 0: one hypernetwork per layer
  int source_hidden_dim = 192;                  // width between the two linear layers of P
  int projected_dim = 192;                      // 0: no P
  std::string adapter_position = "ffn-output";  // ffn-output | after-layer
  std::string adapter_activation = "relu";      // relu | gelu
  std::string adapter_norm_before = "none";     // none | plain | conditional
  std::string adapter_norm_after = "none";
  double generator_rate = 1;  // learning rate of the generators, as a share of train.learning_rate
};

}  // namespace hyperx::model
