"""How a suite tells what it found: a line for each case, which the runner counts.

    version NAME 1.2.3
    skip the reason
    ok the case
    deviation the case: what is different, and why that is right
    failed the case: what went wrong
"""

import contextlib
import sys
import traceback


class Failed(Exception):
    """A case that did not go as it should."""


class Deviation(Exception):
    """A case that goes another way than the suite would have it, for a reason."""


def version(text):
    say("version", text)


def skip(reason):
    """Ends a suite whose tool is not here."""
    say("skip", reason)
    sys.exit(0)


@contextlib.contextmanager
def case(name):
    """Runs a case. What is raised within it is its failure."""
    try:
        yield
        say("ok", name)
    except Deviation as why:
        say("deviation", f"{name}: {why}")
    except Exception as why:
        say("failed", f"{name}: {describe(why)}")


def expect(right, what):
    if not right:
        raise Failed(what)


def equal(found, wanted, what):
    expect(found == wanted, f"{what}: {short(found)} in place of {short(wanted)}")


def short(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"


def describe(why):
    where = [frame for frame in traceback.extract_tb(why.__traceback__) if "interop" in frame.filename]
    place = f" ({where[-1].name}: {where[-1].line})" if where and not isinstance(why, Failed) else ""
    return f"{type(why).__name__}: {why}{place}"


def say(kind, text):
    line = " ".join(text.split())
    # In one piece, for there may be several threads.
    sys.stdout.write(f"{kind} {line}\n" if len(line) <= 500 else f"{kind} {line[:500]}…\n")
    sys.stdout.flush()
