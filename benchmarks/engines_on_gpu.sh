#!/bin/sh
# On a machine with an NVIDIA GPU, from the repository: the contract suite of the engines, then their benchmark.
#
#   benchmarks/engines_on_gpu.sh [FOLDER] [OPTIONS OF unichunk bench engines]
#
# Makes an environment in FOLDER (build/gpu) and leaves it there. Needs Python 3.10 to 3.13, the driver, about 12 GB for
# packages, 40 GB for the 2B model in three precisions, and its float32 form in the host's memory (16 GB). Jetson:
# TensorRT's Python module is JetPack's own, so the environment sees the system's packages and no other is installed.
set -eu

folder=${1:-build/gpu}
[ $# -gt 0 ] && shift
test -f pyproject.toml || { echo "run this in the repository's root" >&2; exit 2; }
command -v nvidia-smi > /dev/null || { echo "no nvidia-smi: is there an NVIDIA driver here?" >&2; exit 2; }
cuda=$(nvidia-smi | sed -n 's/.*CUDA Version: *\([0-9]*\).*/\1/p' | head -n 1)
test -n "$cuda" || { echo "nvidia-smi names no CUDA version: is the driver loaded?" >&2; exit 2; }

if test -f /etc/nv_tegra_release; then
  python3 -m venv --system-site-packages "$folder"
else
  python3 -m venv "$folder"
fi
pip="$folder/bin/pip --disable-pip-version-check --quiet"
$pip install --constraint constraints.txt --editable '.[dev,bench]'
if ! test -f /etc/nv_tegra_release; then
  # Both distributions fill the same folder: only one of them may be there.
  $pip uninstall --yes onnxruntime
  $pip install 'onnxruntime-gpu[cuda,cudnn]' "tensorrt-cu$cuda>=10"
fi
$pip install "cuda-bindings==$cuda.*"

"$folder/bin/unichunk" engines
"$folder/bin/pytest" tests/engines -q -rs
"$folder/bin/unichunk" bench engines --sizes small 2b --precisions fp32 fp16 bf16 --steps 4 10 --rounds 2 \
  --engines onnxruntime-cuda onnxruntime-tensorrt tensorrt --threads "$(nproc)" \
  --json benchmarks/results/engines_gpu.json "$@"
