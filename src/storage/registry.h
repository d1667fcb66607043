#pragma once

// Back ends by name, and storage URIs.

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/status.h"
#include "storage/backend.h"
#include "storage/open_settings.h"

namespace stoker::storage {

// A storage URI: "name:<place>?<key>=<value>&…" with ",<inner URI>" behind it
// for wrappers. The inner URI is all that follows the first comma, so a place
// or a value holds none. A bare path ("./data", "/mnt/x") is file://<path>.
struct Uri {
  std::string scheme;
  std::string place{};  // "/mnt/x" of file:///mnt/x; "" for mem:
  std::map<std::string, std::string, std::less<>> options{};
  std::string inner{};  // the text behind the comma, "" for none
};

// kInvalidArgument with the offending part and what is allowed.
core::Result<Uri> ParseUri(std::string_view text);

struct BackendInfo;

// kInvalidArgument: an option that the URI's back end does not have, or no such
// back end. `more` as in OpenSettings.
core::Status CheckUriOptions(const Uri& uri,
                             std::span<const BackendInfo> more = {});

// The text ParseUri reads; options in the order of their keys.
std::string FormatUri(const Uri& uri);

struct OptionHelp {
  std::string_view name;
  std::string_view values;  // "uring|threads|auto"
  std::string_view summary;
};

// One row of the table of back ends.
struct BackendInfo {
  std::string_view name;
  std::string_view summary;
  std::string_view example;        // a URI
  bool wrapper = false;            // needs an inner URI
  std::string_view default_inner;  // wrappers: used when none is given
  std::span<const OptionHelp> options;
  core::Result<std::unique_ptr<Backend>> (*open)(
      const Uri& uri, const OpenSettings& settings,
      std::unique_ptr<Backend> inner);
};

// Those of this module.
std::span<const BackendInfo> Backends();

// Opens a back end (and the ones it wraps). Nothing is read yet. An unknown
// name or option is kInvalidArgument and names the known ones.
core::Result<std::unique_ptr<Backend>> OpenBackend(
    std::string_view uri, const OpenSettings& settings = {});

}  // namespace stoker::storage
