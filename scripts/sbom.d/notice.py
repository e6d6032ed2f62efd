# SPDX-License-Identifier: Apache-2.0
"""The text of NOTICE: what the licences of the packages that mosq contains want to be handed on with it."""

import pathlib
import re

RULE = "-" * 80
HEAD = """swift-mosquitto
===============

Copyright 2026 the contributors of swift-mosquitto. Licensed under the Apache License, Version 2.0: see the file LICENSE.

The source code of swift-mosquitto contains no code of others. A program that depends on its libraries contains the Swift
packages that the program resolves, and has to hand on their notices.

The command mosq, as scripts/install and scripts/package build it, contains Swift's runtime and FoundationEssentials, whose
Runtime Library Exception (https://swift.org/LICENSE.txt) wants no notice, and the packages below: their notices follow, and
the texts of the licences other than the Apache License. mosq loads libmosquitto (EPL 2.0 or EDL 1.0) and OpenSSL (Apache License 2.0) from the
system, and contains neither. docs/sbom/mosq.spdx.json is the same list for machines. scripts/sbom has written this file.
"""


def plain(text):
    """Without trailing blanks and blank lines at either end."""
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()).strip("\n")


def copyright_lines(text):
    found = re.findall(r"^[ */#]*(Copyright (?:\(c\) )?[0-9][^\n]*)$", text, re.M | re.I)
    return list(dict.fromkeys(line.strip().rstrip("*/ ") for line in found))


def attributions(folder):
    """The part of a package's NOTICE that names the works of others."""
    for name in ("NOTICE.txt", "NOTICES.txt", "NOTICE"):
        file = pathlib.Path(folder, name)
        if file.exists():
            text = plain(file.read_text(encoding="utf-8", errors="replace"))
            return text, text[text.find("This product"):] if "This product" in text else ""
    return "", ""


def own_copyright(folder, notice):
    """The copyright of a package, from its NOTICE or else from the head of its manifest or of a source."""
    if lines := copyright_lines(notice):
        return lines[:1]
    sources = sorted(pathlib.Path(folder, "Sources").rglob("*.swift"))
    for file in [pathlib.Path(folder, "Package.swift"), *sources[:20]]:
        if lines := copyright_lines(file.read_text(encoding="utf-8", errors="replace")[:1500]):
            return lines[:1]
    return []


def licence_text(folder, licence):
    """The text of a licence other than Apache's, which the file LICENSE has."""
    if licence.startswith("Apache-2.0"):
        return ""
    file = next(path for path in sorted(pathlib.Path(folder).glob("LICENSE*")))
    return plain(file.read_text(encoding="utf-8", errors="replace"))


def section(name, version, page, licence, texts):
    head = f"{name}{' ' + version if version else ''}, {page}\nLicence: {licence}"
    return "\n\n".join([head, *[text for text in texts if text]])


def of_package(folder, entry, licence):
    notice, works = attributions(folder)
    page = entry["url"].removesuffix(".git")
    texts = ["\n".join(own_copyright(folder, notice)), works, licence_text(folder, licence)]
    return section(entry["identity"], entry["version"], page, licence, texts)


def redistribution_terms(folder):
    """The comment of a source that has the terms of its licence."""
    for file in sorted(folder.rglob("*.c")):
        for comment in re.finditer(r"/\*-?(.*?)\*/", file.read_text(encoding="utf-8", errors="replace"), re.S):
            if "Redistribution and use" in comment.group(1):
                return plain("\n".join(re.sub(r"^ \* ?", "", line) for line in comment.group(1).splitlines()))
    return ""


def of_copy(folder, module, library, version, licence, page):
    """A C library within a package. The files of BoringSSL and XKCP need no text."""
    module = pathlib.Path(folder, "Sources", module)
    own = next(iter(sorted(module.glob("LICENSE*"))), None)
    terms = plain(own.read_text(encoding="utf-8")) if own else redistribution_terms(module)
    return section(library, version, page, licence, [terms])


def text(sections):
    return HEAD + "".join(f"\n{RULE}\n\n{part}\n" for part in sections)
