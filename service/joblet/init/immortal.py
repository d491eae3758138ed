"""Makes everything that exists before the first fork immortal, so that children share it for good.

A reference count is written whenever an object is used, and a written page is copied: two fifths
of the private memory of a supervisor, and a hundred page faults per job, were such copies. Since
CPython 3.12 the count of an immortal object stays untouched (PEP 683). The interpreter has no call
to make an object immortal; what it does for None is done here for all.
"""

from __future__ import annotations

import ctypes
import gc
import sys

_NEGATIVE = 1 << 31


def immortalise() -> int:
    """Before gc.freeze(): how many objects are immortal now; 0 where the interpreter knows none."""
    # The count is the first word of an object; not so in free-threaded builds.
    if sys.implementation.name != "cpython" or "t" in sys.abiflags:
        return 0
    count = ctypes.c_uint32.from_address(id(None)).value
    if not count & _NEGATIVE:
        # before 3.12 even None is counted
        return 0
    code = type(immortalise.__code__)
    found: dict[int, object] = {}
    rest = gc.get_objects()
    while rest:
        thing = rest.pop()
        if id(thing) not in found:
            found[id(thing)] = thing
            rest += gc.get_referents(thing)
            if isinstance(thing, code):
                # which the collector does not look into
                rest += (thing.co_consts, thing.co_names)
    for address in found:
        ctypes.c_uint32.from_address(address).value = count
    return len(found)
