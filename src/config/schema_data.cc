// Rows of the sections that describe the data set and how it is read.

#include <array>
#include <type_traits>

#include "config/schema.h"

namespace stoker::config {

namespace {

// Above these, products of counts and sizes could leave 64 bits.
constexpr std::int64_t kMaxFiles = 4294967295;
constexpr std::int64_t kMaxPerFile = 2147483647;
constexpr std::int64_t kMaxThreads = 4096;
constexpr double kMaxRecordBytes = 0x1p40;

template <auto... kMembers>
constexpr auto kStorage = &At<&WorkloadConfig::storage, kMembers...>;
template <auto... kMembers>
constexpr auto kDataset = &At<&WorkloadConfig::dataset, kMembers...>;
template <auto... kMembers>
constexpr auto kReader = &At<&WorkloadConfig::reader, kMembers...>;

template <auto... kMembers>
constexpr EnumField Enum(std::span<const Word> words) {
  return {[](const WorkloadConfig& config) {
            return static_cast<std::size_t>((config.*....*kMembers));
          },
          [](WorkloadConfig& config, std::size_t index) {
            auto& field = (config.*....*kMembers);
            field =
                static_cast<std::remove_reference_t<decltype(field)>>(index);
          },
          words};
}

constexpr std::string_view kPluginOnly =
    "only a Python plug-in could do that; remove the key";
constexpr std::string_view kUncompressed =
    "files are written and read uncompressed; allowed: none";
constexpr std::string_view kNewerDlio = "only newer versions of DLIO know it";

constexpr std::array<Word, 2> kFrameworks{{{"tensorflow"}, {"pytorch"}}};
constexpr std::array<Word, 3> kShuffles{{{"off"}, {"seed"}, {"random"}}};
constexpr std::array<Word, 3> kStorageTypes{
    {{"local_fs"},
     {"parallel_fs", "", "parallel_fs is treated as local_fs", "local_fs"},
     {"s3", "not by this version; allowed: local_fs"}}};
constexpr std::array<Word, 6> kCompressions{{{"none"},
                                             {"gzip", kUncompressed},
                                             {"lzf", kUncompressed},
                                             {"bz2", kUncompressed},
                                             {"zip", kUncompressed},
                                             {"xz", kUncompressed}}};
constexpr std::array<Word, 11> kFormats{{{"tfrecord"},
                                         {"npz"},
                                         {"npy"},
                                         {"hdf5"},
                                         {"hdf5_opt"},
                                         {"csv"},
                                         {"jpeg"},
                                         {"png"},
                                         {"indexed_binary"},
                                         {"mmap_indexed_binary"},
                                         {"synthetic"}}};
constexpr std::array<Word, 7> kDataLoaders{
    {{"tensorflow"},
     {"pytorch"},
     {"synthetic"},
     {"none"},
     {"dali", "it is not emulated; use pytorch or tensorflow"},
     {"native_dali", "it is not emulated; use pytorch or tensorflow"},
     {"custom",
      "only a Python plug-in could do that; use pytorch or "
      "tensorflow"}}};
constexpr std::array<Word, 4> kSamplers{
    {{"iterative"}, {"index"}, {"none"}, {"custom", kPluginOnly}}};
constexpr std::array<Word, 5> kFileAccesses{
    {{"multi"}, {"shared"}, {"collective"}, {"mpio"}, {"posix"}}};
constexpr std::array<Word, 2> kReadTypes{{{"on_demand"}, {"memory"}}};
constexpr std::array<Word, 3> kStartMethods{
    {{"fork"}, {"spawn"}, {"forkserver"}}};

constexpr std::string_view kHdf5Only = "only hdf5 files have chunks";

const std::array kDataRows{
    Row{"framework", Enum<&WorkloadConfig::framework>(kFrameworks), "",
        "framework whose behaviour is emulated"},

    Row{"storage.storage_type",
        WordField{kStorage<&StorageConfig::storage_type>, kStorageTypes}, "",
        "kind of storage the paths belong to"},
    Row{"storage.storage_root",
        TextField{kStorage<&StorageConfig::storage_root>, true}, "",
        "put in front of a relative `dataset.data_folder`"},
    Row{"storage.storage_options", IgnoredField{"map", "{}"}, "",
        "settings of newer storage types", kNewerDlio, true},

    Row{"dataset.record_length_bytes",
        RealField{kDataset<&DatasetConfig::record_length_bytes>, 1,
                  kMaxRecordBytes},
        "bytes", "nominal size of a sample; may be fractional"},
    Row{"dataset.record_length_bytes_stdev",
        RealField{kDataset<&DatasetConfig::record_length_bytes_stdev>, 0,
                  kMaxRecordBytes},
        "bytes", "standard deviation of the sample size"},
    Row{"dataset.record_length_bytes_resize",
        RealField{kDataset<&DatasetConfig::record_length_bytes_resize>, 0,
                  kMaxRecordBytes},
        "bytes", "size of the sample handed to the model; 0: as read"},
    Row{"dataset.record_length", AliasField{"dataset.record_length_bytes"}, "",
        "name of v1.0"},
    Row{"dataset.record_length_stdev",
        AliasField{"dataset.record_length_bytes_stdev"}, "", "name of v1.0"},
    Row{"dataset.record_length_resize",
        AliasField{"dataset.record_length_bytes_resize"}, "", "name of v1.0"},
    Row{"dataset.num_files_train",
        IntField{kDataset<&DatasetConfig::num_files_train>, 0, kMaxFiles},
        "files", "files of the training set"},
    Row{"dataset.num_files_eval",
        IntField{kDataset<&DatasetConfig::num_files_eval>, 0, kMaxFiles},
        "files", "files of the validation set"},
    Row{"dataset.num_samples_per_file",
        IntField{kDataset<&DatasetConfig::num_samples_per_file>, 1,
                 kMaxPerFile},
        "samples", "samples in each file"},
    Row{"dataset.data_folder",
        TextField{kDataset<&DatasetConfig::data_folder>, false, true}, "",
        "folder with `train/` and `valid/`"},
    Row{"dataset.num_subfolders_train",
        IntField{kDataset<&DatasetConfig::num_subfolders_train>, 0, kMaxFiles},
        "folders", "subfolders of the training set; 0 and 1: none"},
    Row{"dataset.num_subfolders_eval",
        IntField{kDataset<&DatasetConfig::num_subfolders_eval>, 0, kMaxFiles},
        "folders", "subfolders of the validation set; 0 and 1: none"},
    Row{"dataset.generation_buffer_size",
        IntField{kDataset<&DatasetConfig::generation_buffer_size>, 1}, "bytes",
        "largest indexed_binary file that the reference writes at once; "
        "`datagen --content dlio` refuses larger ones"},
    Row{"dataset.enable_chunking",
        BoolField{kDataset<&DatasetConfig::enable_chunking>}, "",
        "chunked layout of hdf5 files", kHdf5Only},
    Row{"dataset.chunk_size", IntField{kDataset<&DatasetConfig::chunk_size>, 0},
        "bytes", "size of an hdf5 chunk", kHdf5Only},
    Row{"dataset.compression",
        WordField{kDataset<&DatasetConfig::compression>, kCompressions}, "",
        "compression of the files"},
    Row{"dataset.compression_level",
        IntField{kDataset<&DatasetConfig::compression_level>, 0, 9}, "",
        "level of gzip", "files are not compressed"},
    Row{"dataset.file_prefix",
        TextField{kDataset<&DatasetConfig::file_prefix>, true}, "",
        "first part of every file name"},
    Row{"dataset.format", WordField{kDataset<&DatasetConfig::format>, kFormats},
        "", "file format; `stoker list formats` shows those at hand"},
    Row{"dataset.keep_files",
        BoolField{kDataset<&DatasetConfig::keep_files>, false,
                  "a run never deletes its data set; remove the folder "
                  "yourself after the run"},
        "", "whether the data set stays after the run"},
    Row{"dataset.record_dims", IgnoredField{"list", "[]"}, "",
        "dimensions of a sample", kNewerDlio, true},
    Row{"dataset.record_element_type", IgnoredField{"text", "uint8"}, "",
        "element type of a sample", kNewerDlio, true},
    Row{"dataset.record_element_bytes", IgnoredField{"integer", "1"}, "bytes",
        "element size of a sample", kNewerDlio, true},
    Row{"dataset.hdf5", IgnoredField{"map", "{}"}, "",
        "chunk_dims, num_dset_per_record, max_shape", kNewerDlio, true},

    Row{"reader.data_loader",
        Enum<&WorkloadConfig::reader, &ReaderConfig::data_loader>(kDataLoaders),
        "", "loader that is emulated; unset: that of the framework"},
    Row{"reader.data_loader_classname", PluginField{}, "",
        "Python class of a loader"},
    Row{"reader.data_loader_sampler",
        IgnoredField{"iterative|index|none", "null", kSamplers}, "",
        "how samples are assigned", "the emulated loader decides it", true},
    Row{"reader.reader_classname", PluginField{}, "",
        "Python class of a reader"},
    Row{"reader.batch_size",
        IntField{kReader<&ReaderConfig::batch_size>, 1, kMaxPerFile}, "samples",
        "samples per step and rank"},
    Row{"reader.batch_size_eval",
        IntField{kReader<&ReaderConfig::batch_size_eval>, 1, kMaxPerFile},
        "samples", "samples per evaluation step and rank"},
    Row{"reader.read_threads",
        IntField{kReader<&ReaderConfig::read_threads>, 0, kMaxThreads},
        "threads", "threads that read, per rank; 0: the rank reads itself"},
    Row{"reader.computation_threads",
        IntField{kReader<&ReaderConfig::computation_threads>, 1, kMaxThreads},
        "threads", "threads that decode, per rank (tfrecord)"},
    Row{"reader.prefetch_size",
        IntField{kReader<&ReaderConfig::prefetch_size>, 0, 65536}, "batches",
        "batches kept ready"},
    Row{"reader.file_shuffle",
        Enum<&WorkloadConfig::reader, &ReaderConfig::file_shuffle>(kShuffles),
        "", "order of files: as listed, by seed, or different each time"},
    Row{"reader.sample_shuffle",
        Enum<&WorkloadConfig::reader, &ReaderConfig::sample_shuffle>(kShuffles),
        "", "order of samples, alike"},
    Row{"reader.shuffle_size",
        IntField{kReader<&ReaderConfig::shuffle_size>, 1, kMaxPerFile},
        "samples", "shuffle buffer (tfrecord)"},
    Row{"reader.file_access",
        WordField{kReader<&ReaderConfig::file_access>, kFileAccesses}, "",
        "how ranks share files", "DLIO never acts on it either (Q32)"},
    Row{"reader.read_type",
        WordField{kReader<&ReaderConfig::read_type>, kReadTypes}, "",
        "whether files stay in memory",
        "samples are always read on demand (Q8)"},
    Row{"reader.transfer_size",
        IntField{kReader<&ReaderConfig::transfer_size>, 1, 1 << 30}, "bytes",
        "size of one read request (dlio-v2: tfrecord, mmap_indexed_binary; "
        "dlio-v3: all formats)",
        "", true},
    Row{"reader.odirect", BoolField{kReader<&ReaderConfig::odirect>}, "",
        "whether files are read past the page cache (npz, npy; with the "
        "loader model lean any)"},
    Row{"reader.preprocess_time",
        TimeField{kReader<&ReaderConfig::preprocess_time>}, "s",
        "emulated preprocessing of a sample", "", true},
    Row{"reader.preprocess_time_stdev",
        TimeStdevField{kReader<&ReaderConfig::preprocess_time>}, "s",
        "makes `reader.preprocess_time` normally distributed"},
    Row{"reader.pin_memory", BoolField{kReader<&ReaderConfig::pin_memory>}, "",
        "pinned host memory", "there is no accelerator to pin memory for"},
    Row{"reader.dont_use_mmap",
        BoolField{kReader<&ReaderConfig::dont_use_mmap>}, "",
        "for DALI's readers", "only DALI readers look at it (Q32)"},
    Row{"reader.multiprocessing_context",
        WordField{kReader<&ReaderConfig::multiprocessing_context>,
                  kStartMethods},
        "", "how worker processes start", "workers are threads"},
    Row{"reader.loader_model", TextField{kReader<&ReaderConfig::loader_model>},
        "",
        "which pipeline is emulated, see `stoker list loaders`; Stoker's "
        "own key"},
    Row{"reader.pump_threads",
        IntField{kReader<&ReaderConfig::pump_threads>, 1, 64}, "threads",
        "threads that drive the lanes of a rank; Stoker's own key"},
    Row{"reader.request_bytes",
        IntField{kReader<&ReaderConfig::request_bytes>, 4096, 64 << 20},
        "bytes",
        "size of one read of the loader model lean, a multiple of 4096; "
        "Stoker's own key"},
    Row{"reader.byte_budget",
        IntField{kReader<&ReaderConfig::byte_budget>, 4096, 1LL << 40}, "bytes",
        "payload the loader model lean reads ahead per rank; Stoker's own key"},
    Row{"reader.transformed_record_dims", IgnoredField{"list", "[]"}, "",
        "dimensions after preprocessing", kNewerDlio, true},
    Row{"reader.transformed_record_element_type", IgnoredField{"text", "uint8"},
        "", "element type after preprocessing", kNewerDlio, true},
};

}  // namespace

std::span<const Row> DataRows() { return kDataRows; }

}  // namespace stoker::config
