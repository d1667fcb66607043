#pragma once

// A back end over another one that passes everything on.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "storage/backend.h"

namespace stoker::storage {

// Wrappers override what they change.
class WrapperBackend : public Backend {
 public:
  explicit WrapperBackend(std::unique_ptr<Backend> inner)
      : inner_(std::move(inner)) {}

  Capabilities capabilities() const override { return inner_->capabilities(); }
  core::Status List(
      std::string_view prefix,
      const std::function<bool(const ObjectInfo&)>& visit) override {
    return inner_->List(prefix, visit);
  }
  ObjectId Resolve(std::string_view object_name) override {
    return inner_->Resolve(object_name);
  }
  void Release(ObjectId object) override { inner_->Release(object); }
  core::Result<std::unique_ptr<WriteStream>> Create(
      std::string_view object_name, const WriteOptions& options,
      core::Clock& clock) override {
    return inner_->Create(object_name, options, clock);
  }
  core::Status EnsureFolder(std::string_view prefix) override {
    return inner_->EnsureFolder(prefix);
  }
  core::Status Link(std::string_view existing, std::string_view name) override {
    return inner_->Link(existing, name);
  }
  core::Status Remove(std::string_view object_name) override {
    return inner_->Remove(object_name);
  }
  core::Result<std::uint64_t> RemoveAll(
      std::span<const std::string> object_names) override {
    return inner_->RemoveAll(object_names);
  }
  core::Status RemoveFolder(std::string_view prefix) override {
    return inner_->RemoveFolder(prefix);
  }
  core::Result<std::optional<ObjectIdentity>> Identity(
      std::string_view object_name) override {
    return inner_->Identity(object_name);
  }
  core::Result<Unfinished> SweepUnfinished(std::string_view prefix,
                                           Sweep sweep) override {
    return inner_->SweepUnfinished(prefix, sweep);
  }
  core::Result<std::optional<std::uint64_t>> CachedBytes(
      std::string_view object_name) override {
    return inner_->CachedBytes(object_name);
  }
  core::Status Forget(std::string_view object_name) override {
    return inner_->Forget(object_name);
  }
  core::Result<std::optional<std::uint64_t>> UnwrittenBytes(
      std::string_view object_name) override {
    return inner_->UnwrittenBytes(object_name);
  }
  std::optional<RequestCounters> Requests() const override {
    return inner_->Requests();
  }
  std::optional<CacheCounts> CacheActivity() const override {
    return inner_->CacheActivity();
  }
  void NoteEpoch(std::uint32_t epoch, std::uint32_t epochs) override {
    inner_->NoteEpoch(epoch, epochs);
  }
  core::Result<Drained> Drain(const DrainOptions& options,
                              core::Clock& clock) override {
    return inner_->Drain(options, clock);
  }
  void HintOrder(ReadOrder& order) override { inner_->HintOrder(order); }
  core::Result<std::uint64_t> FreeBytes() override {
    return inner_->FreeBytes();
  }
  core::Result<std::uint64_t> FreeObjects() override {
    return inner_->FreeObjects();
  }

 protected:
  Backend& inner() { return *inner_; }
  const Backend& inner() const { return *inner_; }

 private:
  std::unique_ptr<Backend> inner_;
};

}  // namespace stoker::storage
