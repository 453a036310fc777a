#pragma once

// Legend of the shapes in comments of this folder and of trainer/.
//
//   tokens     rows of a packed batch: sub-words of all sentences end to end, [CLS] and [SEP] included, no padding
//   sentences  sentences of a packed batch
//   labels     rows that carry a label (first sub-words of words, or masked tokens)
//   hidden     h, the encoder's width                  heads  attention heads, head_dim = hidden / heads
//   layers     L                                       adapter  b, the bottleneck
//   source     d_s, task + language + layer embedding  projected  d_p, the generators' input
//   theta      n = 2hb + h + b (+ 2h per conditional LayerNorm): one layer's adapter, flat
//   pairs      K, the pairs of one step                rows   K * L, one per pair and layer
