#!/bin/sh
# rulesets.sh   writes each file of .github/rulesets/ to the repository on GitHub: updates the ruleset of its name, or makes it.
#
# Needs GitHub's `gh`, logged in as an administrator of the repository.
set -eu

cd "$(dirname "$0")/.."
scripts/need.sh gh python3
for file in .github/rulesets/*.json; do
    name=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["name"])' "$file")
    id=$(gh api --paginate 'repos/{owner}/{repo}/rulesets' --jq ".[] | select(.name == \"$name\") | .id")
    if [ -n "$id" ]; then
        gh api --method PUT "repos/{owner}/{repo}/rulesets/$id" --input "$file" >/dev/null
    else
        gh api --method POST 'repos/{owner}/{repo}/rulesets' --input "$file" >/dev/null
    fi
    echo "$file: in force as \"$name\""
done
