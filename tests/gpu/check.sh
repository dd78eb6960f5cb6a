#!/usr/bin/env bash
# One check of one CUDA card: numbers first, then speed. Builds nothing, needs no network; some six minutes.
#   bash tests/gpu/check.sh [RESULT.json]
# The result holds the card's name, every test with its outcome, and every figure of two benchmarks; exit 1 when a test fails.
set -uo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
result=${1:-gpu-check.json}
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1
unset TRITON_INTERPRET
cd "$here"

"$python" -c 'import torch; raise SystemExit(not torch.cuda.is_available())' || {
    echo "no CUDA device, or a PyTorch without CUDA" >&2
    exit 2
}
sam() { "$python" -m samcli "$@"; }

sam doctor --json >"$work/doctor.json"
timeout 240 "$python" -m pytest -n 0 -q -m gpu --junitxml="$work/marked.xml" tests >&2
timeout 120 "$python" -m pytest -n 0 -q --junitxml="$work/kernels.xml" tests/ssm/triton >&2
timeout 120 "$python" -m samcli bench core --quick --json --device cuda >"$work/core.json"
timeout 120 "$python" -m samcli bench folder --quick --json --device cuda >"$work/folder.json"
"$python" tests/gpu/collect.py "$work" "$result"
