#!/usr/bin/env python3
"""Lists what Sources declares and nobody mentions: types, functions, properties, enum cases, field names.

A textual index. A name counts as used when it stands anywhere besides its declarations: in Sources, Benchmarks or Examples,
outside of comments and string literals (code inside `\\(…)` counts). Tests count only for the public API of a library that
others can depend on, which has no other caller here. Names that several declarations share are used as soon as one of them
is, so this finds less than all, and little that is not dead; `exceptions.txt` names what it takes for dead and is not.

Exit status 1 when something is found, or when an exception is not needed any more.
"""

import bisect
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXCEPTIONS = pathlib.Path(__file__).with_name("exceptions.txt")
# The library products of Package.swift: their public API is for others.
PRODUCTS = ("EscapementClient", "TimingWheel")

MODIFIERS = (
    r"(?:(?:@\w+(?:\([^)]*\))?|public|package|internal|private|fileprivate|static|final|class|mutating|nonmutating"
    r"|consuming|borrowing|override|lazy|weak|unowned(?:\(unsafe\))?|nonisolated(?:\(unsafe\))?|indirect|prefix|postfix|(?:private|internal|package)\(set\))\s+)*"
)
DECLARATION = re.compile(
    r"^\s*(?P<modifiers>" + MODIFIERS + r")(?P<kind>func|var|let|case|struct|class|enum|actor|protocol|typealias)\s+"
    r"(?P<rest>.+)", re.MULTILINE)
TYPE = re.compile(r"^[ \t]*" + MODIFIERS + r"(?:struct|class|enum|actor|protocol|extension)\s+[`\w.]+", re.MULTILINE)
PROTOCOL = re.compile(r"^[ \t]*" + MODIFIERS + r"protocol\s+\w+", re.MULTILINE)
Declaration = collections.namedtuple("Declaration", "name kind access is_for_others path module line")
IDENTIFIER = re.compile(r"`?([A-Za-z_]\w*)`?")


def without_comments_and_texts(source):
    """The code of a Swift file, of the same length: comments and literal text are blanked, interpolations stay."""
    out = list(source)
    position, depth_of_interpolation = 0, []  # for each open interpolation: parentheses open in it, delimiter of its literal

    def blank(start, end):
        for place in range(start, end):
            if out[place] != "\n":
                out[place] = " "

    def literal(start, delimiter, hashes):
        """Blanks from `start` to the end of the literal or to an interpolation; gives the place behind it."""
        escape, end = "\\" + hashes, delimiter + hashes
        place = start
        while place < len(source):
            if source.startswith(end, place):
                blank(start, place)
                return place + len(end)
            if source.startswith(escape + "(", place):
                blank(start, place + len(escape))
                depth_of_interpolation.append([1, delimiter, hashes])
                return place + len(escape) + 1
            place += len(escape) + 1 if source.startswith(escape, place) else 1
        return place

    while position < len(source):
        if source.startswith("//", position):
            end = source.find("\n", position)
            end = len(source) if end < 0 else end
            blank(position, end)
            position = end
            continue
        opening = re.compile(r'(#*)("""|")').match(source, position)
        if opening:
            position = literal(opening.end(), opening.group(2), opening.group(1))
            continue
        if depth_of_interpolation and source[position] in "()":
            depth_of_interpolation[-1][0] += 1 if source[position] == "(" else -1
            if depth_of_interpolation[-1][0] == 0:
                _, delimiter, hashes = depth_of_interpolation.pop()
                position = literal(position + 1, delimiter, hashes)
                continue
        position += 1
    return "".join(out)


def spans(code, heads=None):
    """The outermost spans (start, end) between braces whose head matches `heads`; without it, those where names are local:
    functions, accessors and closures."""
    found, stack, depth = [], [], 0
    for brace in re.finditer(r"[{}]", code):
        if brace.group() == "{":
            head = code[max(code.rfind(character, 0, brace.start()) for character in "{};") + 1:brace.start()]
            types = list((heads or TYPE).finditer(head))
            is_type = bool(types) and not re.search(r"\b(func|init|var|let|subscript)\b", head[types[-1].end():])
            counts = is_type == (heads is not None)
            stack.append(counts)
            if counts and depth == 0:
                start = brace.start()
            depth += counts
        elif stack.pop():
            depth -= 1
            if depth == 0:
                found.append((start, brace.start()))
    return found


def declarations_in(code, path, module):
    """Each declaration that is not local, with the place of its name."""
    locals = spans(code)
    starts = [start for start, _ in locals]
    for match in DECLARATION.finditer(code):
        start = match.start("kind")
        span = bisect.bisect(starts, start) - 1
        if span >= 0 and start < locals[span][1]:
            continue
        words = match.group("modifiers").split()
        kind = match.group("kind")
        if {"public", "package", "override"} & set(words) or kind == "case":
            access = "public"  # a case is as visible as its enum, an override as what it overrides: taken for the widest
        elif "private" in words or "fileprivate" in words:
            access = "private"
        else:
            access = "internal"
        is_for_others = module in PRODUCTS and access == "public"
        line = code.count("\n", 0, start) + 1
        for name in names_declared(match):
            word = name.group(1)
            yield Declaration(word, kind, access, is_for_others, path, module, line), code.find(word, match.start("rest"))


def names_declared(match):
    """The names of one declaration: none of an operator or a pattern, several of `case a, b` and `let a, b: Int`."""
    kind, rest = match.group("kind"), match.group("rest")
    if kind == "case":
        rest = re.sub(r"\([^()]*(\([^()]*\)[^()]*)*\)", "", rest)  # payloads
        parts = rest.split(",")
    elif kind in ("var", "let"):
        several = re.match(r"`?\w+`?(\s*,\s*`?\w+`?)+(?=\s*:)", rest)
        parts = several.group().split(",") if several else [rest]
    else:
        parts = [rest]
    return [name for name in (IDENTIFIER.match(part.strip()) for part in parts) if name]


def excuses(exception, declaration):
    """Whether an exception is about a declaration: by its name, by where it is (`Sources/X/`), or by that and what it is
    (`Sources/X/:case`)."""
    place, _, kind = exception.partition(":")
    if "/" not in place:
        return exception == declaration.name
    return str(declaration.path).startswith(place) and kind in ("", declaration.kind)


def main():
    everywhere, by_module, by_file = {}, {}, {}  # name -> mentions, in all code that counts, in a module, in a file
    in_tests, declarations, required = {}, {}, set()
    for folder in ("Sources", "Benchmarks", "Examples", "Tests"):
        for path in sorted((ROOT / folder).rglob("*.swift")):
            code = without_comments_and_texts(path.read_text(encoding="utf-8"))
            module = path.relative_to(ROOT).parts[1]
            declared_here = set()
            if folder == "Sources":
                for declaration, place in declarations_in(code, path.relative_to(ROOT), module):
                    declared_here.add(place)
                    declarations.setdefault(declaration.name, []).append(declaration)
                for start, end in spans(code, PROTOCOL):
                    required.update(re.findall(r"\b(?:func|var)\s+(\w+)", code[start:end]))
            names = [name.group(1) for name in IDENTIFIER.finditer(code) if name.start(1) not in declared_here]
            if folder == "Tests":
                in_tests.update(dict.fromkeys(names, True))
            else:
                everywhere.update(dict.fromkeys(names, True))
                by_module.setdefault(module, set()).update(names)
                by_file[path.relative_to(ROOT)] = set(names)

    reasons = {}
    for line in EXCEPTIONS.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            assert reason.strip(), f"{EXCEPTIONS.name}: {name} has no reason"
            reasons[name] = reason.strip()

    found, needed = [], set()
    for name, places in sorted(declarations.items()):
        for declaration in places:
            if name in required:
                is_used = name in everywhere  # called through a protocol, perhaps from another module
            elif declaration.access == "private":
                is_used = name in by_file[declaration.path]
            elif declaration.access == "internal":
                is_used = name in by_module[declaration.module]
            else:
                is_used = name in everywhere
            if is_used or declaration.is_for_others and name in in_tests:
                continue
            excuse = next((one for one in reasons if excuses(one, declaration)), None)
            if excuse:
                needed.add(excuse)
                continue
            where = " (only tests mention it)" if name in in_tests else ""
            found.append(f"{declaration.path}:{declaration.line}: {declaration.kind} {name} is mentioned nowhere else{where}")
    for name in sorted(set(reasons) - needed):
        found.append(f"{EXCEPTIONS.relative_to(ROOT)}: {name} is used or gone; take the line out")
    print("\n".join(found) if found else f"{len(declarations)} names, each in use")
    return 1 if found else 0


sys.exit(main())
