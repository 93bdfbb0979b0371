# SPDX-License-Identifier: BSD-3-Clause
"""Takes manual pages apart, for man.sh.

    pages.py examples PAGE DIR      marked blocks of EXAMPLES: DIR/N.sh, and
                                    "N STATUS PATTERN" on standard output
    pages.py keyring PAGE           the keyring of eesp-keyring.5
    pages.py ompi PAGE              the lines for Open MPI of uct_eesp.7
    pages.py messages PAGE SOURCE   is every message of the transport there,
                                    and every one there in the transport?
    pages.py policies|keys|values PAGE SOURCE WANT GOT
                                    names of the source, names of the page
"""
import glob
import re
import sys


def read(path):
    with open(path) as f:
        return f.read()


def section(page, kind, name):
    """What stands between .Sh/.Ss NAME and the next .Sh (or .Ss)."""
    stop = r"^\.Sh " if kind == "Sh" else r"^\.S[hs] "
    found = re.search(rf"^\.{kind} {name}\n(.*?)(?={stop}|\Z)", read(page),
                      re.M | re.S)
    return found[1] if found else sys.exit(f"{page}: no section {name}")


def literal(text):
    """Source lines of a literal block, as they are shown."""
    return "".join(line.replace("\\e", "\\") + "\n"
                   for line in text.splitlines()
                   if not line.startswith(".\\\""))


def block_after(page, mark):
    found = re.search(rf'^\.\\" {mark}\n\.Bd -literal.*?\n(.*?)^\.Ed', read(page),
                      re.M | re.S)
    return literal(found[1]) if found else sys.exit(f"{page}: no {mark}")


def examples(page, directory):
    mark, lines, number, bad = None, None, 0, 0
    for line in section(page, "Sh", "EXAMPLES").splitlines():
        if line.startswith(('.\\" run ', '.\\" not run: ', '.\\" keyring')):
            mark = line[4:]
        elif line.startswith(".Bd -literal"):
            lines = []
            if mark is None:
                bad = 1
                print(f"{page}: example not marked", file=sys.stderr)
        elif line == ".Ed":
            if mark and mark.startswith("run "):
                number += 1
                with open(f"{directory}/{number}.sh", "w") as f:
                    f.write(literal("\n".join(lines)))
                print(number, mark[len("run "):])
            mark = lines = None
        elif line.startswith((".Dl", ".D1")):
            bad = 1
            print(f"{page}: example that cannot be marked", file=sys.stderr)
        elif lines is not None:
            lines.append(line)
    sys.exit(bad or number == 0)


# ---- Messages ----------------------------------------------------------------

CALL = re.compile(r"\b(?:uct_eesp_refuse(?:_peer)?|ucs_error|ucs_warn|ucs_fatal"
                  r"|ucs_diag|ucs_info)\s*\(")
STRINGS = re.compile(r'\s*((?:"(?:[^"\\]|\\.)*"\s*)+)')
PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"')
CONVERSION = re.compile(r"(?:%[-0-9.]*(?:z|ll|l)?[a-z])+")


def strings_after(text, start):
    """Adjacent string constants at start, as one."""
    found = STRINGS.match(text, start)
    joined = "".join(PIECE.findall(found[1])) if found else ""
    return joined.replace('\\"', '"')


def shape(text, hole):
    """With a mark for what varies, whatever blanks are around it."""
    return re.sub(r"\s*\0[\0\s./:]*", "\0", re.sub(hole, "\0", text)).strip()


def source_messages(source):
    found = {}
    for path in glob.glob(f"{source}/ucx_plugin/*.c"):
        text = read(path)
        for call in CALL.finditer(text):
            message = strings_after(text, call.end())
            if message and message != "%s":
                message = message.removeprefix("eesp: ")
                found[shape(message, CONVERSION)] = message
    # What uct_eesp_refuse("%s", why) passes on.
    text = read(f"{source}/src/lib/lane.c") + \
        read(f"{source}/ucx_plugin/ring.c")
    for call in re.finditer(r"snprintf\(why, EESP_WHY_LEN,", text):
        message = strings_after(text, call.end())
        found[shape(message, CONVERSION)] = message
    return found


def messages(page, source):
    known = source_messages(source)
    told = {}
    for item in re.findall(r'^\.It Sy "(.*)"$', section(page, "Sh",
                                                        "DIAGNOSTICS"), re.M):
        item = item.replace("\\(dq", '"')
        told[shape(item, r"<[^>]*>")] = item
    missing = [m for s, m in known.items()
               if not any(s.startswith(t) for t in told)]
    stale = [t for s, t in told.items()
             if not any(k.startswith(s) for k in known)]
    for message in missing:
        print("in the source only:", message)
    for message in stale:
        print("in the page only:", message)
    print(len(known), "messages,", len(told), "in the page")
    sys.exit(bool(missing or stale or len(told) < 10))


# ---- Keyring -----------------------------------------------------------------

def array(source, path, name):
    found = re.search(rf"\b{name}\[\] = \{{(.*?)\}};",
                      read(f"{source}/src/lib/{path}"), re.S)
    return PIECE.findall(found[1])


def items(text):
    return re.findall(r"^\.It Cm (\S+)", text, re.M)


def policies(page, source):
    return (array(source, "keyring_policy.c", "known_members"),
            items(section(page, "Ss", "Policies")))


def keys(page, source):
    text = read(f"{source}/src/lib/keyring_json.c")
    text = text[text.index("static int parse_bytes"):]
    used = re.findall(r'json_object_get\(object, "(\w+)"\)', text)
    used += re.findall(r'eesp_keyring_integer\(object, "(\w+)"', text)
    used += array(source, "keyring_json.c", "known")
    return used, items(section(page, "Ss", "Keys"))


def values(page, source):
    """Lists of the messages "is not one of: a, b" by their member."""
    want, got = [], []
    text = read(f"{source}/src/lib/keyring_policy.c")
    for call in re.finditer(r"eesp_keyring_refuse\(p->why, p->name,", text):
        found = re.search(r'(\w+)"?:? "?%\.40s"? is (?:repeated or )?not one '
                          r"of: (.*)", strings_after(text, call.end()))
        if found:
            want += [f"{found[1]} {value}" for value in found[2].split(", ")]
    page = section(page, "Ss", "Policies")
    for member in sorted({w.split()[0] for w in want}):
        found = re.search(rf"^\.It Cm {member}$(.*?)(?=^\.It Cm |\Z)", page,
                          re.M | re.S)
        text = found[1] if found else ""
        got += [f"{member} {value}" for value in
                re.findall(r"^(?:\.It )?\.?Qq (\S+)", text, re.M) or []]
    return want, got


def main(command, *args):
    if command == "examples":
        examples(*args)
    elif command == "keyring":
        print(block_after(args[0], "keyring"), end="")
    elif command == "ompi":
        print(block_after(args[0], "ompi lines"), end="")
    elif command == "messages":
        messages(*args)
    else:
        for names, path in zip(globals()[command](*args[:2]), args[2:]):
            with open(path, "w") as f:
                f.writelines(name + "\n" for name in names)


main(*sys.argv[1:])
