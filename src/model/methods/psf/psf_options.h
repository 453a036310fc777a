#pragma once

#include <string>

namespace hyperx::model {

// Options "psf.*": Ponti et al. 2021. Members are initialised with their defaults.
struct PsfOptions {
  int latent_dim = 100;
  std::string posterior = "diagonal";  // diagonal | low-rank
  int rank = 10;                       // of the low-rank part
  int samples = 3;                     // of a training step
  int mlp_layers = 6;
  std::string word_average = "twice";  // twice | once: how often the loss is divided by the number of words
};

}  // namespace hyperx::model
