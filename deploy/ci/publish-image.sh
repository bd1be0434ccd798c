#!/bin/sh
# Announces a pushed image at the door of sealane as the event image.pushed, and waits for its attestation if asked to.
#
# Needs a POSIX shell, curl and awk. No token is in an argument, in a file, in what is printed, or in the environment
# of a program that this script starts. The same build, image and digest are the same event, however often it is sent.
set -eu
{ set +x; } 2>/dev/null # a shell that traces would print the token
LC_ALL=C
export LC_ALL

usage() {
    cat <<'END'
usage: sh publish-image.sh --identity KIND --door URL --image IMAGE --digest DIGEST --source SOURCE --build BUILD …

  --identity KIND       how this job proves who it is:
                          github  a token that GitHub Actions issues to it (permissions: id-token: write)
                          google  a token of the service account, from Google's metadata server
                          token   the token or API key in the variable SEALANE_TOKEN
  --door URL            where sealane's door is: https://…; plain http only to this machine
  --image IMAGE         what was pushed: HOST/PATH or HOST/PATH:TAG
  --digest DIGEST       its digest, as the push said it: sha256:…, or HOST/PATH@sha256:…
  --source SOURCE       the CloudEvents source: who speaks, such as //github.com/OWNER/REPOSITORY
  --build BUILD         names this run of the build; a repeat with the same name is the same event
  --environment NAME    what the image is meant for, if the signing rules ask
  --audience AUDIENCE   whom a token is asked for; without it, the URL of the door
  --wait SECONDS        wait so long for image.attested; 0 (the default) waits not at all
  --patience SECONDS    how long to try again while something does not answer; 120 without it
  --output FILE         append run=… and event=… to this file

Ends with 0 when the event is stored (and the image attested); 1 when it was refused, or is not attested; 2 when
called wrongly; 75 when it may be tried again.
END
}

fail() {
    code=$1
    shift
    printf 'sealane: %s\n' "$*" >&2
    exit "$code"
}

# ── what was asked for ──

identity='' door='' image='' digest='' origin='' build='' environment='' audience='' wait=0 patience=120 output=''

read_options() {
    while [ $# -gt 0 ]; do
        case $1 in
            -h | --help)
                usage
                exit 0
                ;;
        esac
        [ $# -ge 2 ] || fail 2 "the option $1 has no value: see --help"
        case $1 in
            --identity) identity=$2 ;;
            --door) door=${2%/} ;;
            --image) image=$2 ;;
            --digest) digest=${2##*@} ;;
            --source) origin=$2 ;;
            --build) build=$2 ;;
            --environment) environment=$2 ;;
            --audience) audience=$2 ;;
            --wait) wait=${2:-0} ;;
            --patience) patience=${2:-120} ;;
            --output) output=$2 ;;
            *) fail 2 "there is no option $1: see --help" ;;
        esac
        shift 2
    done
}

check_options() {
    [ -n "$digest" ] || fail 2 "there is no digest: give --digest what the push printed, since a tag alone can move"
    case $digest in
        sha256:*[!0-9a-f]*) digest_is_one= ;;
        sha256:????????????????????????????????????????????????????????????????) digest_is_one=yes ;;
        *) digest_is_one= ;;
    esac
    [ -n "$digest_is_one" ] || fail 2 "the digest is not sha256: and 64 hexadecimal digits: take it from the push"
    case $image in
        '' | *[!A-Za-z0-9._:/-]*) fail 2 "the image is not HOST/PATH or HOST/PATH:TAG: give --image what was pushed" ;;
        */*) ;;
        *) fail 2 "the image $image names no registry: write HOST/PATH:TAG" ;;
    esac
    case $door in
        *[!A-Za-z0-9._:/%~-]*) fail 2 "the door's URL holds characters that no such URL has: give --door https://HOST" ;;
        https://?*) ;;
        http://127.0.0.1 | http://127.0.0.1[:/]* | http://localhost | http://localhost[:/]*) ;;
        *) fail 2 "the door is not an https URL: give --door https://HOST, so that nobody on the way reads the token" ;;
    esac
    case $environment in *[!A-Za-z0-9._-]*) fail 2 "the environment holds more than A-Z a-z 0-9 . _ -" ;; esac
    case $wait$patience in *[!0-9]*) fail 2 "--wait and --patience are whole seconds" ;; esac
    [ -n "$origin" ] || fail 2 "there is no source: say with --source who speaks, such as //github.com/OWNER/REPOSITORY"
    [ -n "$build" ] || fail 2 "the build has no name: give --build what tells this run of it from others"
    : "${audience:=$door}"
}

# ── requests ──

newline='
'
config='' answer='' status=''

# Percent-encodes a text for a header of CloudEvents, or a query.
encoded() {
    printf '%s' "$1" | awk -v safe="$2" '
        BEGIN { for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i }
        NR > 1 { printf "%%0A" }
        {
            for (i = 1; i <= length($0); i++) {
                c = substr($0, i, 1)
                if (c ~ /[A-Za-z0-9._~-]/ || index(safe, c)) printf "%s", c
                else printf "%%%02X", code[c]
            }
        }'
}

# Prints the first text member of that name in the JSON answer, on one line.
member() {
    printf '%s\n' "$answer" | awk -v name="$1" '
        { text = text $0 }
        END {
            if (!match(text, "\"" name "\":[ ]*\"([^\"\\\\]|\\\\.)*\"")) exit
            value = substr(text, RSTART, RLENGTH)
            sub(/^"[^"]*":[ ]*"/, "", value)
            sub(/"$/, "", value)
            gsub(/\\"/, "\"", value)
            gsub(/[\001-\037\177]/, " ", value)
            print value
        }'
}

# Sends what $config says, in the words of curl's configuration; sets $status (000: no answer) and $answer.
request() {
    : >"$work/headers"
    if answer=$(printf '%s\n' "$config" | curl --disable --silent --show-error --config - --connect-timeout 10 \
        --max-time 30 --dump-header "$work/headers" --write-out '\n%{http_code}' 2>"$work/problem"); then
        status=${answer##*"$newline"}
        answer=${answer%"$newline"*}
    else
        status=000
        answer=''
    fi
}

# Prints why the last request did not succeed.
reason() {
    if [ "$status" = 000 ]; then
        sed -e 's/^curl: ([0-9]*) //' -e q "$work/problem"
        return
    fi
    detail=$(member detail)
    claim=$(member claim)
    printf '%s' "${detail:-"it answered with status $status and no reason"}${claim:+" (claim: $claim)"}"
}

retry_after() {
    awk -F ': *' 'tolower($1) == "retry-after" { sub(/\r$/, "", $2); if ($2 ~ /^[0-9]+$/) s = $2 } END { print s + 0 }' \
        "$work/headers"
}

# Repeats a request, which the function $2 prepares, until $1 answers it for good or its time ($3) is over.
insist() {
    pause=1
    while :; do
        "$2"
        request
        case $status in
            000 | 408 | 429 | 5??) ;;
            *) return 0 ;;
        esac
        after=$(retry_after)
        [ "$after" -ge "$pause" ] || after=$pause
        if [ $(($(date +%s) + after)) -gt "$3" ]; then
            fail 75 "$1 cannot be used now: $(reason); start this step again later"
        fi
        printf 'sealane: %s: %s; trying again in %s s\n' "$1" "$(reason)" "$after" >&2
        sleep "$after"
        pause=$((pause < 16 ? pause * 2 : 30))
    done
}

# ── who this job is ──

token='' token_at=0

take_secrets() {
    given=${SEALANE_TOKEN:-}
    request_url=${ACTIONS_ID_TOKEN_REQUEST_URL:-}
    request_token=${ACTIONS_ID_TOKEN_REQUEST_TOKEN:-}
    unset SEALANE_TOKEN ACTIONS_ID_TOKEN_REQUEST_TOKEN
    case $identity in
        github)
            [ -n "$request_url" ] && [ -n "$request_token" ] ||
                fail 2 "this job may not ask GitHub for a token: give it the permission id-token: write"
            must_be_token "$request_token" ACTIONS_ID_TOKEN_REQUEST_TOKEN
            case $request_url in *[\"\\]* | *"$newline"*) fail 2 "ACTIONS_ID_TOKEN_REQUEST_URL is no URL" ;; esac
            ;;
        google) case ${GCE_METADATA_HOST:-} in *[!A-Za-z0-9.:-]*) fail 2 "GCE_METADATA_HOST is not HOST:PORT" ;; esac ;;
        token)
            [ -n "$given" ] || fail 2 "the variable SEALANE_TOKEN is empty: put the token or API key of this job into it"
            must_be_token "$given" SEALANE_TOKEN
            ;;
        *) fail 2 "there is no identity ${identity:-without a name}: give --identity github, google or token" ;;
    esac
}

must_be_token() {
    case $1 in '' | *[!A-Za-z0-9._~+/=-]*) fail 2 "$2 holds no token: it has characters that none has" ;; esac
}

ask_github() {
    config="url = \"$request_url&audience=$(encoded "$audience" '')\"
header = \"Authorization: Bearer $request_token\"
header = \"Accept: application/json\""
}

ask_google() {
    config="url = \"http://${GCE_METADATA_HOST:-metadata.google.internal}/computeMetadata/v1/instance/service-accounts/\
default/identity?format=full&audience=$(encoded "$audience" '')\"
header = \"Metadata-Flavor: Google\"
noproxy = \"*\""
}

# Sets $token. Tokens live for minutes, so that one for a long wait is asked for anew.
identify() {
    now=$(date +%s)
    [ -z "$token" ] || [ "$identity" = token ] || [ $((now - token_at)) -ge 120 ] || return 0
    case $identity in
        github) token=$(token_from "GitHub's token service" ask_github value) || exit $? ;;
        google) token=$(token_from "Google's metadata server" ask_google '') || exit $? ;;
        token) token=$given ;;
    esac
    token_at=$now
}

# Runs in a subshell of its own: what it sets is gone afterwards.
token_from() {
    insist "$1" "$2" $(($(date +%s) + patience))
    [ "$status" = 200 ] || fail 1 "$1 gave no token (status $status): look at what this job may do"
    found=$answer
    [ -z "$3" ] || found=$(member "$3")
    must_be_token "$found" "what $1 answered"
    printf '%s' "$found"
}

# ── the door ──

post_event() {
    identify
    config="url = \"$door/events\"
data-binary = \"@$work/event.json\"
header = \"Content-Type: application/json\"
header = \"ce-specversion: 1.0\"
header = \"ce-type: image.pushed\"
header = \"ce-source: $source_header\"
header = \"ce-id: $id_header\"
header = \"Authorization: Bearer $token\""
}

read_run() {
    identify
    config="url = \"$door/runs/$run\"
header = \"Authorization: Bearer $token\""
}

publish() {
    source_header=$(encoded "$origin" '/:@')
    id_header=$(encoded "$build/$image@$digest" '/:@')
    printf '{"image":"%s","digest":"%s"%s}\n' "$image" "$digest" "${environment:+",\"environment\":\"$environment\""}" \
        >"$work/event.json"
    insist "the door $door" post_event $(($(date +%s) + patience))
    [ "$status" = 202 ] || fail 1 "the door refused the event (status $status): $(reason)"
    run=$(member run)
    case $run in '' | *[!A-Za-z0-9_-]*) fail 1 "the door $door answered without a run: is it sealane's?" ;; esac
    printf 'sealane: image.pushed for %s@%s is stored; its run is %s\n' "$image" "$digest" "$run"
    [ -z "$output" ] || printf 'run=%s\nevent=%s\n' "$run" "$id_header" >>"$output"
}

# What the door has not heard of a moment after it was stored is asked for again.
wait_for_attestation() {
    end=$(($(date +%s) + wait)) interval=1
    while :; do
        insist "the door $door" read_run "$end"
        case $status in
            200) judge ;;
            404) ;;
            *) fail 1 "the door does not show the run $run (status $status): $(reason)" ;;
        esac
        [ $(($(date +%s) + interval)) -le "$end" ] ||
            fail 75 "the image is not attested after $wait s: look at the run $run with 'sealane tail $run'"
        sleep "$interval"
        interval=$((interval < 8 ? interval + 1 : 8))
    done
}

# Ends the script when the run is over. The answer's own members come before those of what happened in it.
judge() {
    case $(member state) in
        done)
            case $answer in
                *'"type":"image.attested"'* | *'"type": "image.attested"'*) ;;
                *) fail 1 "the run $run is over and attested nothing: no signing rule is for $image" ;;
            esac
            printf 'sealane: %s@%s is attested\n' "$image" "$digest"
            exit 0
            ;;
        failed)
            message=$(member message)
            fail 1 "the image was not attested: ${message:-"look at the run $run"}"
            ;;
    esac
}

read_options "$@"
check_options
take_secrets
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM
publish
[ "$wait" -eq 0 ] || wait_for_attestation
