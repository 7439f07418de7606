#!/bin/bash
# zoo-agrees.sh MODEL SYMBOLS [--set ...]: the forward function of examples/zoo/MODEL.bigm on the CPU backend against the
# reference, within 1e-4 of the largest number, for the given sizes of its open dimensions.
set -e
model=$1 symbols=$2
shift 2
file=$BIGM_SOURCE/examples/zoo/$model.bigm
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
bigmc emit "$file" --stage grad --model "$model.init" "$@" > "$folder/init.mlir"
bigmc emit "$file" --stage grad --model "$model.forward" "$@" > "$folder/forward.mlir"
BIGM_CPU_FILE=$folder/forward.mlir BIGM_CPU_INIT=$folder/init.mlir BIGM_CPU_CHECK_SYMBOLS=$symbols \
  BIGM_CPU_TOLERANCE=1e-4 "$BIGM_BUILD/unit/bigm-backends-cpu-tests" --gtest_filter=File.MatchesReference
