#pragma once

// The bytes of a tf.train.Example with the two features of a sample: "image",
// one byte string, and "size", one integer. Protocol-buffer wire format; the
// messages are those of proto/example.proto.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/status.h"

namespace stoker::formats {

// Everything of the message but the image's bytes, which lie between the two.
struct ExampleFrame {
  std::vector<std::byte> before;
  std::vector<std::byte> after;
};

ExampleFrame FrameExample(std::uint64_t image_bytes, std::uint64_t size);

// Bytes of the whole message; allocates nothing.
std::uint64_t ExampleBytes(std::uint64_t image_bytes, std::uint64_t size);

// Where the image is within the message.
struct ImageField {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

// The image must begin within this many bytes of the message.
inline constexpr std::size_t kExampleHead = 128;

// `head` is the start of a message of `message_bytes`: all of it, or
// kExampleHead bytes. Features may come in any order. kCorruption and
// kUnsupported name the offset within the message and what was expected.
core::Result<ImageField> FindImage(std::span<const std::byte> head,
                                   std::uint64_t message_bytes);

}  // namespace stoker::formats
