"""jasmind, with its lock in the folder where it runs. usage: daemon.py JASMIND [OPTION …]

It would be in /tmp: two could not run at the same time, and one that was killed would keep all later ones from starting.
"""

import runpy
import sys

import lockfile

Lock = lockfile.FileLock
lockfile.FileLock = lambda _: Lock("jasmind")
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
