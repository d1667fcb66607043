#include "checkpoint/save.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <random>
#include <utility>

#include "checkpoint/internal/barrier_timeout.h"
#include "checkpoint/internal/shard_writer.h"
#include "core/cpu_time.h"
#include "core/pages.h"
#include "core/random.h"
#include "core/text.h"

namespace stoker::checkpoint {

namespace {

// Files of a rank as text, a line each, and back.
std::string Encode(const std::vector<ManifestFile>& files) {
  std::string text;
  for (const ManifestFile& file : files) {
    text += fmt::format("{} {} {} {} {}\n", file.bytes, file.payload_bytes,
                        file.crc, file.frame_crc, file.name);
  }
  return text;
}

core::Status Decode(std::string_view text, std::uint32_t rank,
                    std::vector<ManifestFile>& files) {
  for (const std::string_view line : core::Split(text, '\n')) {
    if (line.empty()) {
      continue;
    }
    const std::vector<std::string_view> words = core::Split(line, ' ');
    if (words.size() != 5) {
      return {core::Code::kCorruption,
              fmt::format("what rank {} told of its files does not read; does "
                          "every host run the same version?",
                          rank)};
    }
    ManifestFile file{.name = std::string(words[4]), .rank = rank};
    STOKER_ASSIGN(const std::int64_t bytes, core::ParseInt(words[0]));
    STOKER_ASSIGN(const std::int64_t payload, core::ParseInt(words[1]));
    STOKER_ASSIGN(const std::int64_t crc, core::ParseInt(words[2]));
    STOKER_ASSIGN(const std::int64_t frame, core::ParseInt(words[3]));
    file.bytes = static_cast<std::uint64_t>(bytes);
    file.payload_bytes = static_cast<std::uint64_t>(payload);
    file.crc = static_cast<std::uint32_t>(crc);
    file.frame_crc = static_cast<std::uint32_t>(frame);
    files.push_back(std::move(file));
  }
  return {};
}

core::Result<std::size_t> PreferredUnit(const ShardContext& context) {
  STOKER_ASSIGN(const auto queue,
                context.backend->NewReadQueue({.depth = 1}, *context.clock));
  return std::size_t{queue->limits().preferred_unit};
}

// One file, committed; adds to the op.
core::Result<ManifestFile> SaveFile(
    const ShardContext& context, const SaveOptions& options,
    const internal::WriteShape& shape, std::string_view folder,
    const ShardFile& file, const ContentKey& key, metrics::CheckpointOp& op) {
  const FileLayout layout(file, options.format);
  const std::string object = ObjectName(folder, file.name);
  STOKER_ASSIGN(const auto stream,
                context.backend->Create(object,
                                        {.expected_size = layout.file_bytes(),
                                         .part_size = shape.part_bytes,
                                         .durable = options.fsync,
                                         .in_place = options.in_place,
                                         .in_flight = shape.in_flight,
                                         .patch = false},
                                        *context.clock));
  internal::ShardWriter writer(*stream, shape, *context.clock);
  STOKER_TRY(writer
                 .Write(file, layout, FileContent(key, file.name), context,
                        op.file_bytes)
                 .WithContext("save " + object));
  const core::Result<storage::WriteTimes> committed = stream->Commit();
  STOKER_TRY(committed.status().WithContext("save " + object));
  const storage::WriteTimes& times = committed.value();
  if (op.files == 0) {
    op.first_byte = times.first;
  }
  op.last_byte = times.last;
  op.synced = times.synced;
  op.fsync += times.synced - times.last;
  op.content += writer.times().content;
  op.checksum += writer.times().checksum;
  op.stalled += stream->counters().idle;
  op.payload_bytes += file.payload_bytes();
  op.file_bytes += layout.file_bytes();
  ++op.files;
  return ManifestFile{.name = file.name,
                      .bytes = layout.file_bytes(),
                      .payload_bytes = file.payload_bytes(),
                      .crc = writer.crc(),
                      .frame_crc = writer.frame_crc()};
}

}  // namespace

core::Result<std::uint64_t> DrawSaveId(comm::Communicator& comm) {
  comm::Bytes message;
  if (comm.rank() == 0) {
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    const std::uint64_t id =
        core::StreamKey(static_cast<std::uint64_t>(wall.count()), ::getpid(),
                        std::random_device{}());
    message = comm::ToBytes(fmt::to_string(id));
  }
  STOKER_TRY(comm.Broadcast(message, 0));
  return std::uint64_t{std::stoull(comm::ToText(message))};
}

core::Result<SavedShard> SaveShard(const ShardContext& context,
                                   const SaveOptions& options,
                                   std::string_view folder,
                                   const std::vector<ShardFile>& files,
                                   const ContentKey& key) {
  SavedShard saved;
  metrics::CheckpointOp& op = saved.op;
  op.step = key.step;
  const core::Nanos cpu = core::ProcessCpuTime();
  op.start = op.first_byte = op.last_byte = op.synced = context.clock->Now();
  std::size_t unit = 0;
  if (context.style == IoStyle::kReference) {
    STOKER_ASSIGN(unit, PreferredUnit(context));
  }
  const internal::WriteShape shape =
      internal::ShapeOf(context, options.format, unit);
  core::TimePoint began = op.start;
  for (const ShardFile& file : files) {
    STOKER_ASSIGN(ManifestFile written,
                  SaveFile(context, options, shape, folder, file, key, op));
    saved.files.push_back(std::move(written));
    const core::TimePoint done = context.clock->Now();
    (file.part == ShardFile::Part::kModel ? op.model_part
                                          : op.optimizer_part) += done - began;
    began = done;
  }
  op.cpu = core::ProcessCpuTime() - cpu;
  return saved;
}

Saver::Saver(comm::Communicator& comm, const ShardContext& context,
             const SaveOptions& options, SaveIdentity identity)
    : comm_(comm),
      context_(context),
      options_(options),
      identity_(std::move(identity)),
      files_(FilesOf(identity_.spec, identity_.layout,
                     static_cast<std::uint32_t>(comm.rank()))) {}

std::uint64_t Saver::pool_bytes() const {
  constexpr std::size_t kUnit = core::kPageBytes;
  const internal::WriteShape shape =
      internal::ShapeOf(context_, options_.format, kUnit);
  return files_.empty() ? 0 : (shape.in_flight + 1) * shape.part_bytes;
}

std::uint64_t Saver::stored_bytes() const {
  std::uint64_t bytes = 0;
  for (const ShardFile& file : files_) {
    bytes += FileLayout(file, options_.format).file_bytes();
  }
  return bytes;
}

Manifest Saver::ManifestOf(std::uint64_t epoch, std::uint64_t step) const {
  return {.tool = identity_.tool,
          .model = identity_.model,
          .spec = identity_.spec,
          .layout = identity_.layout,
          .format = options_.format,
          .content = {.save_id = identity_.save_id,
                      .step = step,
                      .random = options_.random},
          .epoch = epoch,
          .step = step};
}

// Rank 0, before anybody writes. The partial manifest first: at no time are
// there files that neither names.
core::Status Saver::Announce(const Manifest& manifest,
                             const std::string& folder) {
  Manifest partial = manifest;
  for (std::uint32_t rank = 0; rank < identity_.layout.ranks; ++rank) {
    for (const ShardFile& file :
         FilesOf(identity_.spec, identity_.layout, rank)) {
      partial.files.push_back({.name = file.name,
                               .rank = rank,
                               .payload_bytes = file.payload_bytes()});
    }
  }
  STOKER_TRY(WriteManifest(*context_.backend, folder, partial, options_.fsync,
                           *context_.clock, kPartialName));
  const core::Status removed =
      context_.backend->Remove(ObjectName(folder, kManifestName));
  return removed.code() == core::Code::kNotFound ? core::Status() : removed;
}

// Collective.
core::Status Saver::Publish(Manifest& manifest, const std::string& folder,
                            const std::vector<ManifestFile>& mine) {
  const comm::Bytes message = comm::ToBytes(Encode(mine));
  STOKER_ASSIGN(const std::vector<comm::Bytes> all, comm_.Gather(message, 0));
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    STOKER_TRY(Decode(comm::ToText(all[rank]), static_cast<std::uint32_t>(rank),
                      manifest.files));
  }
  if (comm_.rank() != 0) {
    return {};
  }
  STOKER_TRY(WriteManifest(*context_.backend, folder, manifest, options_.fsync,
                           *context_.clock));
  return context_.backend->Remove(ObjectName(folder, kPartialName));
}

core::Result<metrics::CheckpointOp> Saver::Save(std::uint64_t epoch,
                                                std::uint64_t step) {
  const std::string folder = StepFolder(epoch, step);
  const bool keeps = context_.backend->capabilities().stores_data;
  Manifest manifest = ManifestOf(epoch, step);
  core::Status status;
  if (comm_.rank() == 0 && keeps) {
    status = Announce(manifest, folder);
  }
  STOKER_TRY(comm::Agree(comm_, status));
  STOKER_TRY(comm_.Barrier(internal::kBarrierTimeout));
  core::Result<SavedShard> saved =
      SaveShard(context_, options_, folder, files_, manifest.content);
  if (options_.rank_sync) {
    STOKER_TRY(comm_.Barrier(internal::kBarrierTimeout));
  }
  const core::TimePoint end = context_.clock->Now();
  STOKER_TRY(comm::Agree(comm_, saved.status()));
  saved.value().op.end = end;
  status =
      keeps ? Publish(manifest, folder, saved.value().files) : core::Status();
  STOKER_TRY(comm::Agree(comm_, status));
  return saved.value().op;
}

}  // namespace stoker::checkpoint
