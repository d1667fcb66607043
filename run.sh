#!/bin/bash
# Builds Stoker and measures how well this machine's storage feeds emulated
# accelerators: 3D-Unet, ResNet50 and CosmoFlow, two H100 each, on real files;
# then saves and restores a small Llama-3 checkpoint on four ranks, two of each,
# and puts the NVMe cache in front of a simulated store that is too slow.
#
# Usage: ./run.sh
#
# Installs missing Debian packages (needs root only then). Datasets go to
# ./data (3.7 GiB, and 2 GiB of checkpoints and a cache of 2.5 GiB that go at
# the end), results to ./results. A second call reuses build and data.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
}

case "${1:-}" in
  "") ;;
  -h | --help) usage && exit 0 ;;
  *)
    echo "run.sh: unknown argument '$1'; allowed: --help" >&2
    exit 2
    ;;
esac
exec </dev/null  # nothing asks questions

stoker=build/release/stoker
accelerators=2
epochs=2

build() {
  mkdir -p build
  local log=build/configure_release.log
  # Tests would need packages that users do not.
  cmake --preset release -D STOKER_TESTS=OFF >"$log" 2>&1 || {
    cat "$log" >&2
    return 1
  }
  cmake --build build/release -j "$(nproc)" --target stoker
}

# Processes share cores where there are fewer than ranks.
launch=()
((EUID == 0)) && launch+=(--allow-run-as-root)
launch_many=("${launch[@]}" --oversubscribe)
(($(nproc) < accelerators)) && launch+=(--oversubscribe)

memory_gib="$(awk '/^MemTotal:/ { gib = int($2 / 1048576 + 0.5)
                                  print gib < 1 ? 1 : gib }' /proc/meminfo)"

table=()
checkpoint_table=()
cache_table=()

# measure MODEL FILES SCALE PARAM...: generates the dataset (if it is not there
# yet) and trains on it.
measure() {
  local model="$1" files="$2" scale="$3" log folder
  shift 3
  local -a params=(--params "dataset.num_files_train=$files" "$@")
  echo
  echo "== $model: dataset"
  "$stoker" training datagen --model "$model" --num-processes "$accelerators" \
    --data-dir data --results-dir results "${launch[@]}" "${params[@]}"
  echo
  echo "== $model: training"
  log="build/run_$model.log"
  "$stoker" training run --model "$model" --accelerator-type h100 \
    --num-accelerators "$accelerators" \
    --client-host-memory-in-gb "$memory_gib" \
    --data-dir data --results-dir results "${launch[@]}" \
    "${params[@]}" "train.epochs=$epochs" "${run_params[@]}" | tee "$log"
  folder="$(sed -n 's/^results: //p' "$log" | tail -n 1)"
  if [[ -z "$folder" ]]; then
    echo "run.sh: $model named no result folder" >&2
    return 1
  fi
  table+=("$model=$scale=$folder")
}

# Saves and restores; what is read is not what the page cache kept.
checkpoints() {
  local log=build/run_checkpoints.log folder
  echo
  echo "== checkpoints: llama3-tiny"
  "$stoker" checkpointing run --model llama3-tiny --num-processes 4 \
    --num-checkpoints-write 2 --num-checkpoints-read 2 --between flush \
    --client-host-memory-in-gb "$memory_gib" --checkpoint-folder data \
    --results-dir results "${launch_many[@]}" \
    --params checkpoint.verify=full | tee "$log"
  "$stoker" checkpointing delete data/llama3-tiny
  folder="$(sed -n 's/^results: //p' "$log" | tail -n 1)"
  if [[ -z "$folder" ]]; then
    echo "run.sh: the checkpoints named no result folder" >&2
    return 1
  fi
  checkpoint_table+=("llama3-tiny=$folder")
}

# ResNet50 again, on a store of half its demand, without and with the cache. The
# step grows by a whole factor until the cache's device could feed two and a half
# times what is asked for.
cached() {
  local cache=data/cache uri=file://$PWD/data/resnet50 measured scale step slow
  # Two accelerators: 400 samples of 114,660.07 B each in 0.224 s.
  local demand=409500250
  echo
  echo "== cache: format"
  "$stoker" cache format "$cache" --size 2560MiB --force
  measured="$("$stoker" cache measure "$cache" --log-format json |
    sed -n 's/.*"read_bytes_per_s": *\([0-9.e+]*\).*/\1/p')"
  read -r scale step slow < <(awk -v c="${measured:-0}" -v d="$demand" 'BEGIN {
    k = 1; while (c > 0 && d / k > 0.4 * c) ++k
    printf "%d %.3f %d\n", k, 0.224 * k, d / k / 2 }')
  echo "device: $measured B/s reading; compute time times $scale; store: $slow B/s"
  slow="model:?latency=1ms&bandwidth=$slow"
  local place name log folder
  for name in "simulated store" "cache before it"; do
    place="$slow,$uri"
    [[ "$name" == cache* ]] && place="cache:$PWD/$cache,$slow,$uri"
    echo
    echo "== $name: training"
    log="build/run_${name%% *}.log"
    "$stoker" training run --model resnet50 --accelerator-type h100 \
      --num-accelerators "$accelerators" \
      --client-host-memory-in-gb "$memory_gib" --data-dir "$place" \
      --results-dir results "${launch[@]}" \
      --params dataset.num_files_train=14 train.epochs=2 \
      "train.computation_time=$step" | tee "$log"
    folder="$(sed -n 's/^results: //p' "$log" | tail -n 1)"
    if [[ -z "$folder" ]]; then
      echo "run.sh: '$name' named no result folder" >&2
      return 1
    fi
    cache_table+=("$name=$scale=$folder")
  done
  "$stoker" cache clear "$cache"
  rm -r "$cache"
}

tools/install_packages.sh build
echo "== Build"
build

# 3D-Unet's records of 140 MiB would need a dataset of tens of GiB. Record size
# and compute time shrink by the same factor, so that the bytes asked per second
# stay those of the real workload:
#   146600628 B, 68341808 B and 0.323 s, each times 0.04.
run_params=(train.computation_time=0.01292)
measure unet3d 280 0.04 dataset.record_length_bytes=5864025.12 \
  dataset.record_length_bytes_stdev=2733672.32
run_params=()
measure resnet50 14 1
measure cosmoflow 120 1
checkpoints
cached

echo
echo "== Result: $accelerators emulated H100, $epochs epochs each"
/usr/bin/python3 tools/run_table.py "${table[@]}"
echo
echo "== Result: checkpoints on four ranks, two saved and restored"
/usr/bin/python3 tools/run_table.py --checkpoints "${checkpoint_table[@]}"
echo
echo "== Result: resnet50 on a simulated store of half its demand, two epochs"
/usr/bin/python3 tools/run_table.py --cache "${cache_table[@]}"
cat <<'END'

Datasets this small fit into the page cache: the figures are those of a warm
client. scale: factor on record size and compute time; bytes asked per second
are the workload's own.
END
