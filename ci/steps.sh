# shellcheck shell=bash
# Sourced by ci/test and ci/full: runs their steps and prints how long each took.

# Nothing is built twice from the same directory: incremental builds only take time and disk.
export CARGO_INCREMENTAL=0
# Tests wait for timers and sockets most of their time.
export RUST_TEST_THREADS=$(($(nproc) * 2))

times=()
declare -A background=() # name: process group, output, begin

took() { # seconds, what
    local line
    printf -v line '%3d min %02d s  %s' $(($1 / 60)) $(($1 % 60)) "$2"
    times+=("$line")
}

step() { # command...
    local begin=$SECONDS
    current=$* current_begin=$SECONDS
    printf '\n==== %s\n' "$*"
    "$@"
    took $((SECONDS - begin)) "$*"
    current=
}

# Runs a command beside the steps that follow, at low priority; `finish` prints its output.
begin() { # name, command...
    local output
    output=$(mktemp)
    set -m # a process group of its own, which can be stopped as a whole
    (
        begin=$SECONDS
        nice -n 10 "${@:2}" || exit
        echo $((SECONDS - begin)) >"$output.seconds"
    ) >"$output" 2>&1 &
    set +m
    background[$1]="$! $output"
    printf '\n==== %s begins, beside the next steps\n' "$1"
}

finish() { # name
    local process output status=0
    read -r process output <<<"${background[$1]}"
    current="$1 (beside others)" current_begin=$SECONDS
    printf '\n==== %s\n' "$1"
    wait "$process" || status=$?
    unset "background[$1]"
    cat "$output"
    [ "$status" = 0 ] || return "$status"
    took "$(cat "$output.seconds")" "$1 (beside others)"
    rm -f "$output" "$output.seconds"
    current=
}

at_exit() {
    local status=$? name process
    for name in "${!background[@]}"; do
        read -r process _ <<<"${background[$name]}"
        kill -- "-$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    if [ "$status" != 0 ] && [ -n "${current:-}" ]; then
        took $((SECONDS - current_begin)) "$current: FAILED"
    fi
    took "$SECONDS" "in all"
    printf '\nci/%s: time by step\n' "${0##*/}"
    printf '%s\n' "${times[@]}"
    if [ "$status" = 0 ]; then status=passed; else status=FAILED; fi
    echo "ci/${0##*/}: $status"
}
trap at_exit EXIT
