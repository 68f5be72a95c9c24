#!/bin/sh
# Makes a gallery file that later versions must open, with the `reid` of an older version:
#   cargo run -p fixtures -- EXAMPLE && tests/references/gallery.sh REID EXAMPLE tests/references/format2.redb
# format2.redb was made so at commit 16e5a97, by `cargo build --bin reid` (debug).
# It holds Ada and Bob (Bob was merged into Ada), Eve (split from Ada), and those of the clip who were unknown, with crops.
set -eu
reid=$1 example=$2 gallery=$3
crops=$(mktemp -d)
trap 'rm -rf "$crops"' EXIT
model=$example/figures.onnx
cd "$example"
"$reid" enroll Ada crops/query/0001_*.jpg --gallery "$gallery" --model "$model"
"$reid" enroll Bob crops/query/0002_*.jpg --gallery "$gallery" --model "$model"
"$reid" gallery merge "$gallery" Bob Ada
"$reid" gallery split "$gallery" Ada --exemplars 3-4 --name Eve
"$reid" run figures.avi --boxes figures.csv --model "$model" --gallery "$gallery" --threshold 0.7 \
    --max-frames 60 --save-crops "$crops"
"$reid" gallery list "$gallery"
