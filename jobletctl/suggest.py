"""What somebody may have meant who wrote a word that is none: `did you mean …?`, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

# Words of other tools for the same thing.
SYNONYMS: Mapping[str, str] = {
    "attach": "log",
    "describe": "inspect",
    "info": "status",
    "kill": "stop",
    "logs": "log",
    "ls": "list",
    "node": "nodes",
    "ps": "list",
    "remove": "delete",
    "rm": "delete",
    "set": "update",
    "show": "status",
    "start": "run",
    "stats": "top",
    "submit": "run",
    "tail": "log",
    "term": "stop",
}
# Of the letters, in the same order: a slip or two in a short word.
_ALIKE = 0.6


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, if any is."""
    # costs more than most command lines, and is needed by wrong ones only
    from difflib import get_close_matches

    words = {one.casefold(): one for one in known}
    synonym = SYNONYMS.get(word.casefold())
    if synonym in words:
        return words[synonym]
    found = get_close_matches(word.casefold(), words, n=1, cutoff=_ALIKE)
    if found:
        return words[found[0]]
    begun = [one for one in words if one.startswith(word.casefold())] if word else []
    return words[begun[0]] if len(begun) == 1 else None


# A verb of jobs where a noun belongs is the most likely mistake of all.
JOB_VERBS = (
    "cancel",
    "delete",
    "inspect",
    "list",
    "log",
    "run",
    "status",
    "stop",
    "update",
    "wait",
)


def verb(word: str, known: Iterable[str], path: str) -> str:
    """`; did you mean 'jobletctl job list'?` for a word after a path of words, or ""."""
    words = tuple(known)
    found = closest(word, words)
    job_verb = closest(word, JOB_VERBS) if "job" in words else None
    # The same letters, or another tool's word, count more than like ones.
    exact = word in JOB_VERBS or SYNONYMS.get(word) in JOB_VERBS
    if job_verb is not None and (found is None or exact):
        found = f"job {job_verb}"
    return f"; did you mean '{path} {found}'?" if found else ""


def meant(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?`, or "" if nobody knows."""
    found = closest(word, known)
    return f"; did you mean '{found}'?" if found else ""
