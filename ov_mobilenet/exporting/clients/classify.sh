#!/bin/sh
# Send an image file to the model server over REST and print the answer as JSON.
#
# Usage: sh classify.sh IMAGE MODEL INPUT [URL]
#   INPUT is the name of the model's input; URL is http://127.0.0.1:8000 unless given.
#
# The body is a JSON object, and after it the size of the file as four bytes, lowest first, and the file itself.
set -eu
if [ $# -lt 3 ]; then
    echo "usage: sh classify.sh IMAGE MODEL INPUT [URL]" >&2
    exit 2
fi
image=$1
model=$2
input=$3
url=${4:-http://127.0.0.1:8000}

size=$(($(wc -c < "$image")))
header='{"inputs":[{"name":"'$input'","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":'$((size + 4))'}}]}'
bytes=$(printf '\\%03o\\%03o\\%03o\\%03o' $((size & 255)) $((size >> 8 & 255)) $((size >> 16 & 255)) $((size >> 24 & 255)))

{
    printf '%s' "$header"
    printf "$bytes"
    cat "$image"
} | curl --silent --show-error --fail-with-body \
    --header "Inference-Header-Content-Length: $(printf '%s' "$header" | wc -c | tr -d ' ')" \
    --header "Content-Type: application/octet-stream" \
    --data-binary @- "$url/v2/models/$model/infer"
echo
