"""How fast, how much memory: tfjs_torch beside its peers and the machine's own limits.

    scripts/bench                    everything (Linux; about 12 GB of RAM and of disk in TMPDIR; node for tf.js)
    scripts/bench --only load        one group
    scripts/bench --quick            tiny sizes: does it run at all?
    scripts/bench --write            also put the tables into BENCHMARKS.md

The contestants of a comparison take turns in one process, in a new order every round, so that
whatever else the machine does hits them alike; a cell is the median. The page cache is warm.
Whatever imports torch runs in a process of its own (worker.py), so memory is counted from a clean start.
"""
