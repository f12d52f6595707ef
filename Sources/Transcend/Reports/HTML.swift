import Foundation

/// Building blocks of a self-contained HTML page.
enum HTML {
    /// Escapes the characters that are special in HTML.
    static func text(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
    }

    /// A table; the cells of the first row are headings if `hasTitles`.
    static func table(_ rows: [[String]], hasTitles: Bool = false, style: String = "") -> String {
        let lines = rows.enumerated().map { index, row in
            let tag = hasTitles && index == 0 ? "th" : "td"
            return "<tr>" + row.map { "<\(tag)>\(text($0))</\(tag)>" }.joined() + "</tr>\n"
        }
        return #"<div class="wide"><table class="\#(style)">"# + lines.joined() + "</table></div>\n"
    }

    /// A PNG embedded in the page; nil if the file cannot be read.
    static func picture(_ path: String, alternative: String, attributes: String = "") -> String? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        return
            #"<img \#(attributes) alt="\#(text(alternative))" src="data:image/png;base64,\#(data.base64EncodedString())">"#
    }

    /// A section with a heading; empty if its content is empty.
    static func section(_ title: String, _ content: String) -> String {
        content.isEmpty ? "" : "<section><h2>\(text(title))</h2>\n\(content)</section>\n"
    }

    /// Collapsible content.
    static func details(_ title: String, _ content: String) -> String {
        "<details><summary>\(text(title))</summary>\n\(content)</details>\n"
    }

    /// A complete page; it loads nothing from elsewhere, and its content security policy forbids it.
    static func page(title: String, _ content: String) -> String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
        <link rel="icon" href="data:,">
        <title>\(text(title))</title>
        <style>
        \(style)
        </style>
        </head>
        <body>
        <main>
        \(content)</main>
        <script>
        \(script)
        </script>
        </body>
        </html>

        """
    }

    private static let style = """
        :root { color-scheme: light dark; --page: #f4f5f7; --card: #fff; --edge: #d5d9e0; --ink: #1f2430; --soft: #5a6272;
          --grid: #e6e9ee; --c0: #0072b2; --c1: #d55e00; --c2: #007a5a; --c3: #b0528b; --c4: #dd9a00; --c5: #5b6472 }
        @media (prefers-color-scheme: dark) { :root { --page: #14171c; --card: #1c2027; --edge: #343a45; --ink: #e6e9ef;
          --soft: #a0a8b6; --grid: #2b313b; --c0: #56b4e9; --c1: #ff9045; --c2: #35c79b; --c3: #e29cc6; --c4: #ecd25a; --c5: #c3cad6 } }
        * { box-sizing: border-box }
        body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
        main { max-width: 1240px; margin: 0 auto; padding: 1.5rem 1rem 4rem }
        h1 { font-size: 1.7rem; margin: 0 0 .3rem; overflow-wrap: anywhere } h2 { font-size: 1.15rem; margin: 0 0 .8rem }
        .soft { color: var(--soft) } .stage { margin: 2.2rem 0 .8rem; font-size: 1.35rem; font-weight: 600 }
        nav a { margin-right: 1rem } a { color: var(--c0) }
        section { background: var(--card); border: 1px solid var(--edge); border-radius: 8px; padding: 1.1rem 1.2rem; margin: 0 0 1rem }
        .facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem 1.2rem }
        .facts div { display: flex; flex-direction: column } .facts b { font-size: 1.2rem; font-weight: 600 }
        .facts span, figcaption { color: var(--soft); font-size: .88rem }
        .plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 1rem }
        figure { margin: 0 } figcaption { display: flex; flex-wrap: wrap; gap: .2rem .9rem; margin-bottom: .2rem }
        svg { width: 100%; height: auto; display: block } svg text { fill: var(--soft); font-size: 13px } .left { text-anchor: end }
        .below { text-anchor: middle } .grid { stroke: var(--grid); fill: none }
        svg g path { fill: none; stroke: currentColor; stroke-width: 2.2; stroke-linejoin: round } svg g circle { fill: currentColor }
        svg g path.faint { stroke-width: 1; opacity: .35 }
        .c0 { color: var(--c0) } .c1 { color: var(--c1) } .c2 { color: var(--c2) } .c3 { color: var(--c3) } .c4 { color: var(--c4) }
        .c5 { color: var(--c5) } .key::before { content: ""; display: inline-block; width: 1em; height: .25em; margin: 0 .35em .2em 0;
          background: currentColor; border-radius: 2px } .key b { color: var(--ink); font-weight: 600 }
        .wide { overflow-x: auto } table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums }
        th, td { text-align: left; padding: .25rem 1.4rem .25rem 0; border-bottom: 1px solid var(--grid); vertical-align: top }
        th { color: var(--soft); font-weight: 600; white-space: nowrap }
        .numbers td:not(:first-child), .numbers th:not(:first-child) { text-align: right; padding: .25rem 0 .25rem 1.2rem }
        .numbers td:first-child { white-space: nowrap }
        details { margin-top: .8rem } summary { cursor: pointer; color: var(--soft) } code { font-size: .85rem; overflow-wrap: anywhere }
        img { max-width: 100%; height: auto; border-radius: 4px; background: #fff } .film img { display: none } .film img.shown { display: block }
        .film label { display: flex; align-items: center; gap: .8rem; margin-bottom: .7rem } .film input { flex: 1; max-width: 30rem }
        .film output { font-variant-numeric: tabular-nums; min-width: 8em }
        .rows figure { display: grid; grid-template-columns: 9rem 1fr; align-items: center; gap: .6rem; margin-bottom: .3rem }
        .rows figcaption { margin: 0; color: var(--ink); overflow-wrap: anywhere } p { margin: .6rem 0 } ul { margin: .4rem 0; padding-left: 1.3rem }
        @media print { section { break-inside: avoid } }
        """

    private static let script = """
        for (const film of document.querySelectorAll(".film")) {
          const slider = film.querySelector("input"), images = film.querySelectorAll("img"), told = film.querySelector("output");
          const show = () => {
            images.forEach((image, index) => image.classList.toggle("shown", index == slider.value));
            told.textContent = images[slider.value].dataset.label;
          };
          slider.addEventListener("input", show);
          show();
        }
        """
}
