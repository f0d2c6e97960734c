#!/usr/bin/env python3
"""Makes the page that the server shows at `/` of the files in this folder: Sources/Server/HTTP/PageText.swift.

One file without anything to fetch. Its policy lets just this style and this script run, by their SHA-256. `--check` changes nothing
and ends with status 1 when the Swift file is not what would be made.
"""

import base64
import hashlib
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
TARGET = FOLDER.parent / "Sources/Server/HTTP/PageText.swift"

HEAD = '''// swift-format-ignore-file
// The page at `/`, made by Page/build.py of the files in Page. Do not change it here.
//
// Holds: the policy lets nothing run, and nothing be fetched, but this very style and script, and requests to this server.

/// The page that shows the server to people.
enum PageText {
  /// What browsers are told that the page may do.
  static let policy: StaticString = "POLICY"

  /// The page.
  static let html: StaticString = #"""
'''


def digest(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def main():
    style = (FOLDER / "page.css").read_text()
    script = "\n".join(path.read_text() for path in sorted(FOLDER.glob("[0-9]-*.js")))
    html = (FOLDER / "page.html").read_text().replace("{{page.css}}", style).replace("{{page.js}}", script)
    assert "</script" not in script and '"""#' not in html and "\\#" not in html, "the page must fit into its wrappings"
    policy = "; ".join([
        "default-src 'none'", f"script-src {digest(script)}", f"style-src {digest(style)}", "connect-src 'self'", "img-src data:",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    ])
    text = HEAD.replace("POLICY", policy) + html.rstrip("\n") + '\n"""#\n}\n'
    if "--check" in sys.argv[1:]:
        if not TARGET.exists() or TARGET.read_text() != text:
            sys.exit(f"{TARGET.name} is not what Page/build.py makes; run it")
        return
    TARGET.write_text(text)


if __name__ == "__main__":
    main()
