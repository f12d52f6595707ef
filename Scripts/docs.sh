#!/usr/bin/env bash
# Makes the documentation from the sources, with the Swift toolchain alone: .build/docs/transcend.1, the manual page, and
# .build/docs/html, pages by DocC of the articles and all libraries. The program has been built.
set -euo pipefail
cd "$(dirname "$0")/.."

modules=(Transcend Evaluation Diffusion Models Data Torch Formats)
release=.build/release
docs=.build/docs
work=$docs.partial
catalogue=$work/Transcend.docc
date=$(git log -1 --format=%cs 2>/dev/null || date +%F)

fail() {
    echo "docs: error: $*" >&2
    exit 1
}

# quiet COMMAND...: says what it printed only where it fails.
quiet() {
    local log
    log=$("$@" 2>&1) || fail "$1 failed: $log"
}

# The parser describes the commands; what no parser knows stands in docs/manual.mdoc.
write_manual() {
    quiet "$release/generate-manual" "$release/transcend" --date "$date" --output-directory "$work"
    sed -i '/^\.Sh "EXIT STATUS"/,$d' "$work/transcend.1"
    cat docs/manual.mdoc >>"$work/transcend.1"
}

# article FILE NAME: a page of the repository as one of the catalogue, its links turned to the other pages there.
article() {
    sed -E 's;\[[^]]*\]\((docs/)?([a-z-]+|SCALING)\.md\);<doc:\2>;g; s;\[[^]]*\]\(ARCHITECTURE\.md\);<doc:Architecture>;g
        s;\[([^]]*)\]\([A-Z]+(\.md)?\);\1;g; s;\(docs/([a-z]+\.(png|svg))\);(\1);g
        s;\[([^]]*)\]\(docs/[a-z]+\);\1;g' "$1" >"$catalogue/$2.md"
}

# page TITLE ABSTRACT: the standard input as an article.
page() {
    printf '# %s\n\n%s\n\n' "$1" "$2"
    cat
}

# Flags outside code would get typographic dashes.
flags_as_code() {
    sed '1,/^<!--/d; s;^## transcend\.;## ;' |
        sed -Ez 's;- term \*\*([^*\n]*)\*\*:\n\n\*([^\n]*)\*\n\n;- term `\1`: \2\n;g' |
        sed -E '/^- term/ s;\\([<>]);\1;g; /^```/,/^```/! { /`transcend/! s;(^|[ (])(--[a-z.-]*[a-z]);\1`\2`;g; }'
}

fill_catalogue() {
    cp -r docs/Transcend.docc "$catalogue"
    cp docs/*.{png,svg} "$catalogue"
    sed -n '/^## Two commands/,/^## Citation/ { /^## Citation/d; p; }' README.md |
        page "Getting started" "Two commands, a tour of five minutes, and what there is beyond." >"$work/start.md"
    article "$work/start.md" GettingStarted
    article ARCHITECTURE.md Architecture
    local file
    for file in docs/*.md; do article "$file" "$(basename "$file" .md)"; done
    quiet "$release/generate-docc-reference" "$release/transcend" --style docc --output-directory "$work"
    flags_as_code <"$work/transcend.md" |
        page Commands "Every command with its flags, as the program describes them." >"$catalogue/Commands.md"
}

# DocC reads what the compiler says of each library's public names.
extract_symbols() {
    local include=(-I "$release/Modules" -I .build/checkouts/Yams/Sources/CYaml/include) name
    for name in CZlib CImage CTorch; do include+=(-I "$release/$name.build"); done
    mkdir "$work/symbols"
    for name in "${modules[@]}"; do
        quiet swift symbolgraph-extract -module-name "$name" "${include[@]}" -target x86_64-unknown-linux-gnu \
            -minimum-access-level public -skip-synthesized-members -output-dir "$work/symbols"
    done
}

# The root of the pages, which DocC leaves without content, leads to the guide.
convert() {
    quiet docc convert "$catalogue" --additional-symbol-graph-dir "$work/symbols" --output-path "$work/html" \
        --fallback-display-name Guide --fallback-bundle-identifier transcend --enable-inherited-docs \
        --warnings-as-errors
    echo '<meta http-equiv="refresh" content="0; url=documentation/guide/">' >"$work/html/index.html"
}

rm -rf "$work"
mkdir -p "$work"
write_manual
fill_catalogue
extract_symbols
convert
rm -rf "$docs"
mkdir "$docs"
mv "$work"/{html,transcend.1} "$docs"
rm -rf "$work"
echo "The manual page:  man -l $docs/transcend.1"
echo "The pages:        python3 -m http.server --bind 127.0.0.1 --directory $docs/html 8000"
echo "                  then http://127.0.0.1:8000/ in a browser"
