# SPDX-License-Identifier: MIT
# Many threads at once for a while. The first mistake ends them all, and fails the test.
import threading
from qcowtest import *

stop, failed = threading.Event(), []


def loop(work, seed):
    r = random.Random(SEED + seed)
    try:
        while not stop.is_set():
            work(r)
    except BaseException as e:  # the main thread tells
        failed.append(repr(e))
        stop.set()


def storm(works, seconds, enough, text):
    """Calls each of works(random) again and again in a thread of its own, for some seconds, and then
    until enough()."""
    threads = [threading.Thread(target=loop, args=(w, i)) for i, w in enumerate(works)]
    for t in threads:
        t.start()
    stop.wait(seconds)
    until(10, lambda: failed or enough(), text)
    stop.set()
    for t in threads:
        t.join()
    check(not failed, f'{failed[:5]}')
