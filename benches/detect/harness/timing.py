"""Times whole processes and loops inside a process, everyone taking turns in every round."""

import statistics
import subprocess
import time

BASELINES = {"`true`, to start any process": ["true"], "`node -e 0`, to start Node": ["node", "-e", "0"]}


def process_ms(argv):
    """How long a process takes from start to end, its output read, in ms."""
    start = time.perf_counter()
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return (time.perf_counter() - start) * 1000


def whole_process(contestants, folders, rounds):
    """By contestant the times of each folder, in ms. Everyone runs on a folder before the next one comes."""
    times = {one.key: [[] for _ in folders] for one in contestants}
    for _ in range(rounds):
        for at, folder in enumerate(folders):
            for one in contestants:
                times[one.key][at].append(process_ms(one.command(folder)))
    return times


def baselines(rounds=20):
    """What the machine takes for a process that does nothing, in ms."""
    return {name: min(process_ms(argv) for _ in range(rounds)) for name, argv in BASELINES.items()}


def in_process(contestants, folders, rounds, passes):
    """By contestant its mean time of a folder inside one process, in ms, fastest round and median round."""
    times = {one.key: [] for one in contestants if one.in_process}
    for _ in range(rounds):
        for one in contestants:
            if one.in_process:
                times[one.key].append(one.bench(folders, passes))
    return {key: rounds_of(each) for key, each in times.items() if None not in each}


def rounds_of(times):
    """The fastest round, which other programs have disturbed least, and the median one."""
    return {"fastest": min(times), "median": statistics.median(times)}


def over_folders(times_by_folder, pick):
    """What `pick` makes of the folders' times, of their fastest rounds and of their median ones."""
    by_folder = [rounds_of(times) for times in times_by_folder]
    return {kind: pick([each[kind] for each in by_folder]) for kind in ("fastest", "median")}


def percentile95(values):
    """The value that 95 of 100 do not pass."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def sample(folders, count):
    """At most `count` of the folders, spread evenly over the list."""
    if count >= len(folders):
        return list(folders)
    return [folders[at * len(folders) // count] for at in range(count)]
