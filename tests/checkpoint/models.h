#pragma once

// The four models of MLPerf Storage v2.0 and the layouts of its closed
// division.

#include <cstdint>

#include "checkpoint/model.h"

namespace stoker::testing {

struct Case {
  checkpoint::ModelSpec model;
  checkpoint::Layout layout;
};

// hidden, ffn, heads, kv heads of the transformer; all have 128256 words.
inline checkpoint::ModelSpec Llama(std::int64_t layers, std::uint64_t hidden,
                                   std::uint64_t ffn, std::uint64_t heads,
                                   std::uint64_t kv_heads) {
  checkpoint::ModelSpec model;
  model.type = "transformer";
  model.layers = layers;
  model.hidden = hidden;
  model.ffn_hidden = ffn;
  model.attention_heads = heads;
  model.kv_heads = kv_heads;
  model.vocabulary = 128256;
  return model;
}

inline Case Llama8b() {
  return {.model = Llama(32, 4096, 14336, 32, 8),
          .layout = {.ranks = 8, .data = 8, .zero_stage = 3}};
}

inline Case Llama70b() {
  return {.model = Llama(80, 8192, 28672, 128, 8),
          .layout = {.ranks = 64, .tensor = 8, .data = 8, .zero_stage = 3}};
}

inline Case Llama405b() {
  return {.model = Llama(126, 16384, 53248, 128, 8),
          .layout = {.ranks = 512,
                     .tensor = 8,
                     .pipeline = 32,
                     .data = 2,
                     .zero_stage = 1}};
}

inline Case Llama1t() {
  return {.model = Llama(128, 25872, 98304, 192, 32),
          .layout = {.ranks = 1024,
                     .tensor = 8,
                     .pipeline = 64,
                     .data = 2,
                     .zero_stage = 1}};
}

}  // namespace stoker::testing
