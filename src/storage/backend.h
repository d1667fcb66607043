#pragma once

// A place objects live in: a mount, a bucket, a cache over either, memory.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/cancel.h"
#include "core/clock.h"
#include "core/status.h"
#include "storage/cache_counts.h"
#include "storage/read_order.h"
#include "storage/read_queue.h"
#include "storage/request_counters.h"
#include "storage/write_stream.h"

namespace stoker::storage {

struct ObjectInfo {
  std::string_view name;   // "train/img_000_of_168.npz", '/' separated
  std::uint64_t size = 0;  // bytes
};

// How a queue gets at the bytes, where the back end has a choice (file,
// direct, mmap); those without a page cache ignore it, wrappers pass it on.
enum class Access : std::uint8_t {
  kDefault,  // as the back end was opened: file through the page cache, direct
             // past it, mmap through mappings
  kDirect,   // past the page cache (O_DIRECT); limits() then ask for alignment
  kMapped,   // through memory mappings; every page asked for is touched
};

struct QueueOptions {
  std::size_t depth = 32;  // ops in flight at most
  Access access = Access::kDefault;
  // Whether the caller can do without a buffer for good (ReadDone::buffer_held)
  // where a device does not answer. Otherwise a cache brings what it has
  // through memory of its own, which costs a copy.
  bool gives_up_buffers = false;
};

// What a back end can do: data, asked once, instead of failing calls.
struct Capabilities {
  bool stores_data = true;  // false: null
  bool links = true;        // Link makes a second name without copying
  bool shared = true;       // other processes see the same objects
  std::uint64_t max_links = UINT64_MAX;  // names per object, where known
  bool simulated = false;  // times are those of a model of a store
  bool faulty = false;     // failures, delays or damage are put in on purpose
  bool foresees = false;   // makes use of HintOrder
};

// What a reader of results must know of their storage: "simulated store",
// "faults put in", "what-if: the cache knows what will be read", those that are
// so with commas between, or "".
std::string NotesOn(const Capabilities& capabilities);

// Which bytes a name stands for: names of one back end with equal identities
// are names of the same object. Means nothing elsewhere or later.
struct ObjectIdentity {
  std::uint64_t place = 0;   // file: the device
  std::uint64_t number = 0;  // file: the inode
  friend bool operator==(const ObjectIdentity&,
                         const ObjectIdentity&) = default;
};

// Objects that their writers left unfinished.
struct Unfinished {
  std::uint64_t objects = 0;  // of writers that have ended
  std::uint64_t bytes = 0;    // in these
  std::uint64_t busy = 0;     // whose writers may still be at work
};
enum class Sweep : std::uint8_t { kCount, kRemove };

struct DrainOptions {
  core::Nanos patience = std::chrono::seconds(60);  // without progress
  const core::CancelFlag* cancel = nullptr;         // none: nobody cancels
};

// Objects that were acknowledged and then brought to the store they belong to.
struct Drained {
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;
};

// Safe for concurrent use; the queues and streams it makes are not. Object
// names are relative to the place the back end was opened on.
class Backend {
 public:
  Backend() = default;
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  virtual std::string_view scheme() const = 0;
  // The place, as a user would write it: "file:///mnt/x".
  virtual std::string uri() const = 0;
  virtual Capabilities capabilities() const = 0;
  // Calls `visit` per object whose name starts with `prefix`, in no particular
  // order, until it returns false. kNotFound if the folder of `prefix` does not
  // exist (a back end without folders: an empty list). Names of unfinished
  // objects never appear.
  virtual core::Status List(
      std::string_view prefix,
      const std::function<bool(const ObjectInfo&)>& visit) = 0;
  // No I/O: the object need not exist yet; when a descriptor is opened is the
  // back end's business.
  virtual ObjectId Resolve(std::string_view object_name) = 0;
  // Closes; the id may be reused. No op on it may be in flight.
  virtual void Release(ObjectId object) = 0;
  virtual core::Result<std::unique_ptr<ReadQueue>> NewReadQueue(
      const QueueOptions& options, core::Clock& clock) = 0;
  // Makes missing folders. Replaces an existing object only at Commit.
  virtual core::Result<std::unique_ptr<WriteStream>> Create(
      std::string_view object_name, const WriteOptions& options,
      core::Clock& clock) = 0;
  // Makes `prefix` ("valid/") listable although it holds no object. Nothing to
  // do where folders exist by their objects alone.
  virtual core::Status EnsureFolder(std::string_view prefix) = 0;
  // A second name for the same bytes: hard link, server-side copy, shared page.
  // Replaces `name`. kUnsupported with the reason where it cannot.
  virtual core::Status Link(std::string_view existing,
                            std::string_view name) = 0;
  virtual core::Status Remove(std::string_view object_name) = 0;
  // Removes those of the objects that are there, in as few requests as the back
  // end can. Returns how many there were; a store that does not tell (s3)
  // counts all. After an error some may be gone.
  virtual core::Result<std::uint64_t> RemoveAll(
      std::span<const std::string> object_names);
  // Takes back EnsureFolder: removes the folder `prefix` ("valid/") if it is
  // there and empty. Nothing to do where folders exist by their objects alone.
  virtual core::Status RemoveFolder(std::string_view /*prefix*/) { return {}; }
  // Equal to another name's where both stand for the same bytes; nothing where
  // the back end cannot tell. kNotFound.
  virtual core::Result<std::optional<ObjectIdentity>> Identity(
      std::string_view /*object_name*/) {
    return std::optional<ObjectIdentity>();
  }
  // Counts, or removes, what killed writers left of objects that were to have
  // names beginning with `prefix`. A writer of this host has ended once its
  // process is gone; one of another host is taken to have ended if nothing was
  // written for five minutes. Nothing to do where a dead writer leaves nothing,
  // or the folder of `prefix` is not there.
  virtual core::Result<Unfinished> SweepUnfinished(std::string_view /*prefix*/,
                                                   Sweep /*sweep*/) {
    return Unfinished{};
  }
  // Bytes of the object that are in this host's page cache (of an object that
  // lives in memory, tmpfs: that are in memory); nothing where there is no such
  // cache or it cannot be told. kNotFound.
  virtual core::Result<std::optional<std::uint64_t>> CachedBytes(
      std::string_view /*object_name*/) {
    return std::optional<std::uint64_t>();
  }
  // Writes back what only the page cache has of the object and asks the kernel
  // to let go of what it caches of it: a request, CachedBytes tells what came
  // of it. Nothing to do where there is no such cache. kNotFound.
  virtual core::Status Forget(std::string_view /*object_name*/) { return {}; }
  // Bytes of the object that nobody wrote (holes, space that was only
  // reserved): they are read at the speed of memory. Nothing where it cannot be
  // told. kNotFound.
  virtual core::Result<std::optional<std::uint64_t>> UnwrittenBytes(
      std::string_view /*object_name*/) {
    return std::optional<std::uint64_t>();
  }
  // Nothing where no server is asked.
  virtual std::optional<RequestCounters> Requests() const {
    return std::nullopt;
  }
  // Nothing where there is no cache of ours in front of the store.
  virtual std::optional<CacheCounts> CacheActivity() const {
    return std::nullopt;
  }
  // Pass `epoch`, from 1, of `epochs` over the same objects begins; the job
  // does not read them again after the last. For back ends that keep what they
  // read. Nothing is in flight.
  virtual void NoteEpoch(std::uint32_t /*epoch*/, std::uint32_t /*epochs*/) {}
  // Returns once all that was written here is where it is to stay: a back end
  // that acknowledges earlier (a cache that writes back) brings it there. What
  // this process did of that since it was opened. An error (kCancelled, else
  // the cause): what is left is kept. `clock` outlives the back end.
  virtual core::Result<Drained> Drain(const DrainOptions& /*options*/,
                                      core::Clock& /*clock*/) {
    return Drained{};
  }
  // What this process is going to read, from the next call of NoteEpoch on.
  // `order` outlives the back end, which alone calls its BeginEpoch. Once, and
  // before anything is read. For back ends that foresee.
  virtual void HintOrder(ReadOrder& /*order*/) {}
  // Free space for new objects; UINT64_MAX where unlimited.
  virtual core::Result<std::uint64_t> FreeBytes() = 0;
  // How many more objects there can be (inodes of a file system); UINT64_MAX
  // where unlimited or unknown.
  virtual core::Result<std::uint64_t> FreeObjects() { return UINT64_MAX; }
};

// Convenience on top of the seam: whole small objects (manifests, tests).
// `limit`: kInvalidArgument if the object is larger.
core::Result<std::string> ReadObject(Backend& backend, std::string_view name,
                                     core::Clock& clock,
                                     std::uint64_t limit = 64ULL << 20);
// The size in bytes of an object that the queue's back end has resolved.
// kTimedOut: the question is still in flight, so the object must not be
// released.
core::Result<std::uint64_t> AskSize(ReadQueue& queue, ObjectId object,
                                    core::Clock& clock, core::Nanos patience);
// The object's size in bytes; kNotFound if there is none.
core::Result<std::uint64_t> ObjectSize(Backend& backend, std::string_view name,
                                       core::Clock& clock);
core::Status WriteObject(Backend& backend, std::string_view name,
                         std::string_view content, core::Clock& clock,
                         const WriteOptions& options = {});

}  // namespace stoker::storage
