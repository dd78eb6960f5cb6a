#!/usr/bin/env bash
# One check of one CUDA card: numbers first, then speed. Builds nothing, needs no network; some six minutes.
#   bash tests/gpu/check.sh [RESULT.json]
#   bash tests/gpu/check.sh --dry-run [RESULT.json]    # every part on the processor, with small models: does it run at all
# The result holds the card's name, every test with its outcome, and every figure of two benchmarks; exit 1 when a test
# failed or a part did not come to its end.
set -uo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
device=cuda model=sam-nano
if [ "${1:-}" = --dry-run ]; then
    device=cpu model=tiny-random
    shift
fi
result=$(realpath -m -- "${1:-gpu-check.json}")
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1 SAM_CHECK_DEVICE=$device
unset TRITON_INTERPRET SAM_KERNELS SAM_DEVICE SAM_MODEL
cd "$here"

[ "$device" = cpu ] || "$python" -c 'import torch; raise SystemExit(not torch.cuda.is_available())' || {
    echo "no CUDA device, or a PyTorch without CUDA" >&2
    exit 2
}
sam() { timeout 180 "$python" -m samcli "$@"; }

sam doctor --json >"$work/doctor.json"
# Only the files that have tests for a card: collecting all the others takes longer than the card does.
timeout 240 "$python" -m pytest -n 0 -q -m gpu --junitxml="$work/marked.xml" \
    tests/gpu tests/models/test_gpu.py tests/ssm/test_gpu.py tests/engine/test_real_model.py >&2
timeout 120 "$python" -m pytest -n 0 -q --junitxml="$work/kernels.xml" tests/ssm/triton >&2
sam bench core --quick --json --device "$device" >"$work/core.json"
sam bench folder --quick --json --device "$device" --model "$model" >"$work/folder.json"
"$python" tests/gpu/collect.py "$work" "$result"
