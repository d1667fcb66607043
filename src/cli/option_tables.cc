// The options of all commands.

#include <array>

#include "cli/options.h"

namespace stoker::cli {

namespace {

// Commands that start ranks, or size for them.
constexpr CommandSet kMpi =
    kDatasize | kDatagen | kRun | kCheckpointDatasize | kCheckpointRun;
// Commands with a workload.
constexpr CommandSet kWorkload =
    kTraining | kCheckpointDatasize | kCheckpointRun | kCheckpointView;
constexpr CommandSet kAll = kTraining | kCheckpointing;

constexpr std::array kOptions = {
    Option{"hosts", "-s", ValueKind::kList, "HOST[:SLOTS]...", "127.0.0.1",
           kMpi, 0,
           "client hosts, each once; one word may hold several, "
           "comma-separated; with :SLOTS (ranks it takes) on one, all need "
           "it"},
    Option{"model", "-m", ValueKind::kText, "NAME", "", kTraining, 0,
           "workload model: unet3d, resnet50, cosmoflow, retinanet"},
    Option{"model", "-m", ValueKind::kText, "NAME", "",
           kCheckpointDatasize | kCheckpointRun | kCheckpointView, 0,
           "llama3-8b, llama3-70b, llama3-405b or llama3-1t; of the same "
           "structure and small: llama3-tiny, llama3-mini"},
    Option{"workload", "", ValueKind::kText, "FILE", "", kWorkload, 0,
           "a workload file (DLIO format) instead of the one named by --model "
           "(and --accelerator-type)"},
    Option{
        "accelerator-type", "-g", ValueKind::kText, "TYPE", "",
        kDatasize | kRun | kConfigview, 0,
        "accelerator to emulate: h100, a100, b200, mi355 where a workload file "
        "exists"},
    Option{"num-accelerators", "-na", ValueKind::kInteger, "N", "",
           kRun | kConfigview, kRun, "accelerators (MPI ranks) of the run"},
    Option{"max-accelerators", "-ma", ValueKind::kInteger, "N", "", kDatasize,
           kDatasize, "largest number of accelerators to size for"},
    Option{"num-processes", "-np", ValueKind::kInteger, "N", "", kDatagen,
           kDatagen, "processes that write the dataset"},
    Option{"num-processes", "-np", ValueKind::kInteger, "N", "",
           kCheckpointDatasize | kCheckpointRun | kCheckpointView,
           kCheckpointDatasize | kCheckpointRun,
           "MPI ranks; CLOSED: 8, 64, 512, 1024 for 8b, 70b, 405b, 1t, or 8 "
           "for a subset of the last three; fewer than all are a subset"},
    Option{"client-host-memory-in-gb", "-cm", ValueKind::kInteger, "GIB", "",
           kDatasize | kRun, kDatasize,
           "memory of each client host in GiB; sets the least dataset size"},
    Option{"client-host-memory-in-gb", "-cm", ValueKind::kInteger, "GIB", "",
           kCheckpointDatasize | kCheckpointRun, kCheckpointDatasize,
           "memory of each client host in GiB; decides whether caches must be "
           "cleared between saving and restoring"},
    Option{"num-client-hosts", "-nc", ValueKind::kInteger, "N", "",
           kDatasize | kRun, 0,
           "number of client hosts; the number of --hosts if absent"},
    Option{"data-dir", "-dd", ValueKind::kText, "DIR|URI", "", kTraining, 0,
           "where the dataset is; '/<model>' is appended unless it ends with "
           "a model's name; the workload's dataset.data_folder if absent"},
    Option{"checkpoint-folder", "-cf", ValueKind::kText, "DIR|URI", "",
           kCheckpointDatasize | kCheckpointRun | kCheckpointView,
           kCheckpointRun,
           "where checkpoints are; '/<model>' is appended; datasize compares "
           "what is free there with what a run needs"},
    Option{"num-checkpoints-write", "-ncw", ValueKind::kInteger, "N", "",
           kCheckpointDatasize | kCheckpointRun | kCheckpointView, 0,
           "checkpoints to save; 0: none; the workload's number if absent (10 "
           "in those of the benchmark)",
           false, 0},
    Option{"num-checkpoints-read", "-ncr", ValueKind::kInteger, "N", "",
           kCheckpointDatasize | kCheckpointRun | kCheckpointView, 0,
           "checkpoints to restore; 0: none; the workload's number if absent "
           "(10 in those of the benchmark)",
           false, 0},
    Option{"params", "-p", ValueKind::kList, "KEY=VALUE...", "", kWorkload, 0,
           "workload keys to set, e.g. reader.read_threads=8; repeatable"},
    Option{"results-dir", "-rd", ValueKind::kText, "DIR", "results", kWorkload,
           0, "folder of all results"},
    Option{"config-file", "-c", ValueKind::kText, "FILE", "", kWorkload, 0,
           "site file (YAML) of option values; wins over the command line"},
    Option{"exec-type", "-et", ValueKind::kText, "mpi|docker", "mpi", kMpi, 0,
           "mpi: launch with mpirun; docker: this process alone, one rank",
           true},
    Option{"mpi-bin", "", ValueKind::kText, "mpirun|mpiexec", "mpirun", kMpi, 0,
           "launcher; MPI_RUN_BIN and MPI_EXEC_BIN name another program for "
           "it",
           true},
    Option{"mpi-params", "", ValueKind::kList, "WORDS...", "", kMpi, 0,
           "more options for the launcher, e.g. --mpi-params \"--bind-to "
           "core\"; repeatable"},
    Option{"oversubscribe", "", ValueKind::kFlag, "", "", kMpi, 0,
           "allow more ranks than the slots of --hosts"},
    Option{"allow-run-as-root", "", ValueKind::kFlag, "", "", kMpi, 0,
           "let mpirun run as root"},
    Option{"dlio-bin-path", "-dp", ValueKind::kText, "DIR", "", kMpi, 0,
           "folder of the stoker program on the hosts; this program's own if "
           "absent"},
    Option{"loops", "", ValueKind::kInteger, "N", "1",
           kRun | kDatagen | kCheckpointRun, 0,
           "repeat the command, each time with a result folder of its own; "
           "several runs end with a table of what they reached"},
    Option{"warm-up", "", ValueKind::kFlag, "", "", kRun | kCheckpointRun, 0,
           "one more run in front, marked in its record and left out of the "
           "table"},
    Option{"open", "", ValueKind::kFlag, "", "", kMpi, 0,
           "refuse what not even the OPEN division allows"},
    Option{"closed", "", ValueKind::kFlag, "", "", kMpi, 0,
           "refuse what the CLOSED division does not allow"},
    Option{"allow-invalid-params", "-aip", ValueKind::kFlag, "", "", kMpi, 0,
           "run although the rules are broken"},
    Option{"compat", "", ValueKind::kText, "v2.0|none", "none", kWorkload, 0,
           "v2.0: the old behaviour wherever docs/quirks.md offers it", true},
    Option{"io-timeout", "", ValueKind::kText, "TIME", "60s", kRun | kDatagen,
           0, "a read that takes longer ends the run, or datagen --verify"},
    Option{"io-timeout", "", ValueKind::kText, "TIME", "60s", kCheckpointRun, 0,
           "a request that takes longer ends the run"},
    Option{"io", "", ValueKind::kText, "lean|reference", "lean", kCheckpointRun,
           0,
           "lean: large requests, several under way; reference: the sizes and "
           "the order of the reference, one at a time",
           true},
    Option{"pool", "", ValueKind::kBytes, "SIZE", "256MiB",
           kCheckpointDatasize | kCheckpointRun, 0,
           "memory for requests in each rank, whatever the model; at least "
           "8MiB"},
    Option{"between", "", ValueKind::kText,
           "none|flush|drop-caches|command:LINE", "none", kCheckpointRun, 0,
           "done on every host between saving and restoring; flush: the "
           "checkpoints' pages are written back and let go; drop-caches: the "
           "kernel drops all (root); command: LINE is given to /bin/sh"},
    Option{"keep", "", ValueKind::kInteger, "N", "0", kCheckpointRun, 0,
           "checkpoints that stay while more are saved, the last ones, which "
           "are also what is restored; 0: all",
           false, 0},
    Option{"foreign", "", ValueKind::kFlag, "", "", kCheckpointRun, 0,
           "restore checkpoints without a manifest as well, which others wrote "
           "(with --num-checkpoints-write 0)"},
    Option{"accelerators", "", ValueKind::kInteger, "N", "", kCheckpointRun, 0,
           "of the job the checkpoints are for; with --mtbf: the best interval "
           "between checkpoints, goodput and lost accelerator hours"},
    Option{"mtbf", "", ValueKind::kSeconds, "TIME", "", kCheckpointRun, 0,
           "mean time between failures of that whole job, e.g. 4h"},
    Option{"gib-per-s", "", ValueKind::kNumber, "X", "", kCheckpointDatasize, 0,
           "GiB/s of the storage, to tell how long a checkpoint takes"},
    Option{"no-check", "", ValueKind::kFlag, "", "", kRun, 0,
           "do not verify the checksums the file formats carry"},
    Option{"no-cache-prediction", "", ValueKind::kFlag, "", "", kRun, 0,
           "with a cache: in the storage: do not measure store and cache for "
           "a third of a second each before the run, and predict nothing"},
    Option{"drop-caches", "", ValueKind::kFlag, "", "", kRun, 0,
           "before each epoch the kernel of every host drops its page cache "
           "(root); longer than --io-timeout ends the run"},
    Option{"distinct", "", ValueKind::kInteger, "K", "0", kDatagen, 0,
           "write K different contents, the other names are hard links to "
           "them; 0: all different",
           false, 0},
    Option{"content", "", ValueKind::kText, "counter|dlio", "counter", kDatagen,
           0,
           "counter: every byte depends on file, sample and offset; dlio: the "
           "bytes the reference writes with as many processes",
           true},
    Option{"verify", "", ValueKind::kFlag, "", "", kDatagen, 0,
           "write nothing: read the dataset that is there and compare every "
           "byte"},
    Option{"delete", "", ValueKind::kFlag, "", "", kDatagen, 0,
           "write nothing: remove the dataset that is there, finished or not, "
           "and no file of anybody else"},
    Option{"write-index", "", ValueKind::kFlag, "", "", kDatagen, 0,
           "tfrecord: write the text index of each file as well"},
    Option{"replace", "", ValueKind::kFlag, "", "", kDatagen, 0,
           "remove files of the dataset's names that neither a manifest nor a "
           "marker vouches for; without it they are refused"},
    Option{"older-than", "", ValueKind::kSeconds, "DURATION", "24h", kS3Cleanup,
           0, "only uploads that were begun so long ago or before"},
    Option{"size", "", ValueKind::kBytes, "BYTES", "", kCacheFormat,
           kCacheFormat, "what all files of the cache take together (100GiB)"},
    Option{"slot", "", ValueKind::kBytes, "BYTES", "1MiB", kCacheFormat, 0,
           "bytes of a block"},
    Option{"small-slot", "", ValueKind::kBytes, "BYTES", "256KiB", kCacheFormat,
           0, "bytes of the slots for short last blocks; as --slot: none"},
    Option{"small-share", "", ValueKind::kNumber, "PART", "0.1", kCacheFormat,
           0, "part of the bytes for those, below 1"},
    Option{"zero", "", ValueKind::kFlag, "", "", kCacheFormat, 0,
           "write every slot once, so that no later write has to convert "
           "reserved space"},
    Option{"force", "", ValueKind::kFlag, "", "", kCacheFormat, 0,
           "replace the cache that is there"},
    Option{"what-if", "", ValueKind::kFlag, "", "", kMpi | kS3Cleanup, 0,
           "print what would be done, and do nothing"},
    Option{"stream-log-level", "", ValueKind::kText,
           "ERROR|WARNING|INFO|VERBOSE|DEBUG", "INFO", kAll | kCare, 0,
           "how much is printed", true},
    Option{"log-format", "", ValueKind::kText, "text|json", "text",
           kRun | kDatagen | (kCheckpointing & ~kCheckpointView) | kCare, 0,
           "json: everything printed is one JSON object a line, progress too",
           true},
    Option{"verbose", "", ValueKind::kFlag, "", "", kAll | kCare, 0,
           "as --stream-log-level VERBOSE"},
    Option{"debug", "", ValueKind::kFlag, "", "", kAll | kCare, 0,
           "as --stream-log-level DEBUG"},
};

constexpr std::array kHistoryOptions = {
    Option{"limit", "-n", ValueKind::kInteger, "N", "", kHistory, 0,
           "the last N invocations only"},
    Option{"id", "-i", ValueKind::kInteger, "ID", "", kHistory, 0,
           "one invocation, in full"},
};

}  // namespace

std::span<const Option> JobOptions() { return kOptions; }

std::span<const Option> HistoryOptions() { return kHistoryOptions; }

}  // namespace stoker::cli
