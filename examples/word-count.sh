#!/bin/sh
# Sends files into a job, runs a program over them, and takes the results home.
#
#     examples/word-count.sh FILE...      leaves counts.txt in the working directory
#
# The program is unpacked into /work beside the data, by the job's own user. It cannot see this host:
# what it is to have is uploaded, and what it leaves in /work is all that comes back.
set -eu

[ $# -gt 0 ] || { echo "usage: $0 FILE..." >&2; exit 2; }

here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
mkdir "$here/data"
cp -- "$@" "$here/data/"
cat >"$here/count" <<'END'
#!/bin/sh
set -eu
for file in data/*; do
    printf '%s %s\n' "$(wc -w <"$file")" "${file#data/}"
done | sort -rn >counts.txt
END
chmod +x "$here/count"

# The limits are those of a program that nobody has looked at.
jobletctl job run --name word-count --follow \
    --upload-dir "$here" \
    --output counts.txt \
    --max-memory 256M --max-cpu 100 --timeout 5m \
    -- ./count
