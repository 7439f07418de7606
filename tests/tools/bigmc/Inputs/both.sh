# Runs one command twice at the same time; the last argument is a folder to write, and each gets its own.
set -e
out=${@: -1}
set -- "${@:1:$#-1}"
"$@" "$out.1" & first=$!
"$@" "$out.2"
wait $first
