#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the man pages of a command that uses swift-argument-parser: one for it, and one for each subcommand.

Usage: mosq --experimental-dump-help | man-pages.py DIRECTORY VERSION

The pages have the date of SOURCE_DATE_EPOCH, if that is set.
"""
import json
import os
import pathlib
import sys
import time


def text(words):
    """Escaped for roff: a backslash, a hyphen that is one, and a line that would be a request."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-")
    lines = [line.strip() for line in escaped.splitlines() if line.strip()]
    return "\n".join("\\&" + line if line[0] in ".'" else line for line in lines)


def spelled(argument):
    names = []
    for name in argument.get("names") or []:
        names.append(("--" if name["kind"] == "long" else "-") + name["name"])
    # The short name comes first.
    names.sort(key=lambda name: name.startswith("--"))
    return names


def synopsis(argument):
    names = spelled(argument)
    value = argument.get("valueName", "")
    if argument["kind"] == "positional":
        shown = f".Ar {text(value)}"
    else:
        name = text(names[0])[2:]
        shown = f".Fl {name}" + (f" Ar {text(value)}" if argument["kind"] == "option" else "")
    if argument["isOptional"]:
        shown = ".Op " + shown[1:]
    return shown + (" ..." if argument["isRepeating"] else "")


def item(argument):
    value = argument.get("valueName", "")
    value = f" Ar {text(value)}" if argument["kind"] == "option" else ""
    if argument["kind"] == "positional":
        head = f"Ar {text(argument['valueName'])}"
    else:
        head = " , ".join(f"Fl {text(name)[2:]}{value}" for name in spelled(argument))
    lines = [f".It {head}"]
    words = " ".join(filter(None, [argument.get("abstract"), argument.get("discussion")]))
    default = argument.get("defaultValue")
    if default is not None and "Default:" not in words:
        words += f" Default: {default}."
    if argument.get("allValues"):
        words += " One of " + ", ".join(argument["allValues"]) + "."
    if words:
        lines.append(text(words))
    return lines


def page(command, name, siblings, version):
    arguments = [argument for argument in command.get("arguments", []) if argument.get("shouldDisplay", True)]
    date = time.strftime("%B %d, %Y", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))).replace(" 0", " ")
    lines = [
        f".Dd {date}",
        f".Dt {name.upper()} 1",
        f".Os mosq {text(version)}",
        ".Sh NAME",
        f".Nm {text(name)}",
        f".Nd {text(command.get('abstract', '')).rstrip('.')}",
        ".Sh SYNOPSIS",
        f".Nm {text(name.replace('-', ' '))}",
    ]
    lines += [synopsis(argument) for argument in arguments if not argument["isOptional"]]
    if any(argument["isOptional"] for argument in arguments):
        lines.append(".Op Ar options")
    subcommands = [sub for sub in command.get("subcommands", []) if sub["commandName"] != "help"]
    if subcommands:
        lines.append(".Ar subcommand")
    if command.get("discussion"):
        lines += [".Sh DESCRIPTION", text(command["discussion"])]
    if subcommands:
        lines += [".Sh SUBCOMMANDS", ".Bl -tag -width indent"]
        for sub in subcommands:
            lines += [f".It Xr {text(name)}\\-{text(sub['commandName'])} 1", text(sub.get("abstract", ""))]
        lines.append(".El")
    section = None
    for argument in sorted(arguments, key=lambda argument: order(arguments, argument)):
        title = argument.get("sectionTitle") or "Options"
        if title != section:
            if section is not None:
                lines.append(".El")
            lines += [f".Sh {text(title).upper()}", ".Bl -tag -width indent"]
            section = title
        lines += item(argument)
    if section is not None:
        lines.append(".El")
    if siblings:
        lines += [".Sh SEE ALSO", " ,\n".join(f".Xr {text(other)} 1" for other in siblings)]
    return "\n".join(lines) + "\n"


def order(arguments, argument):
    """Sections in the order of their first argument, each in one piece."""
    titles = []
    for other in arguments:
        if other.get("sectionTitle") not in titles:
            titles.append(other.get("sectionTitle"))
    return titles.index(argument.get("sectionTitle"))


def names_below(command, name):
    found = [name]
    for sub in command.get("subcommands", []):
        if sub["commandName"] != "help":
            found += names_below(sub, f"{name}-{sub['commandName']}")
    return found


def write(command, name, directory, names, version):
    related = [other for other in names if other != name and (other.count("-") <= 1 or other.startswith(name))]
    (directory / f"{name}.1").write_text(page(command, name, related, version), encoding="utf-8")
    for sub in command.get("subcommands", []):
        if sub["commandName"] != "help":
            write(sub, f"{name}-{sub['commandName']}", directory, names, version)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    command = json.load(sys.stdin)["command"]
    name = command["commandName"]
    write(command, name, pathlib.Path(sys.argv[1]), names_below(command, name), sys.argv[2])


main()
