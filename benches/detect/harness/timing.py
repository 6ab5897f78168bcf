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
    """By contestant the median time of each folder, in ms. Everyone runs on a folder before the next one comes."""
    times = {one.key: [[] for _ in folders] for one in contestants}
    for _ in range(rounds):
        for at, folder in enumerate(folders):
            for one in contestants:
                times[one.key][at].append(process_ms(one.command(folder)))
    return {key: [statistics.median(each) for each in by_folder] for key, by_folder in times.items()}


def baselines(rounds=20):
    """What the machine takes for a process that does nothing, in ms."""
    return {name: statistics.median(process_ms(argv) for _ in range(rounds)) for name, argv in BASELINES.items()}


def in_process(contestants, folders, rounds, passes):
    """By contestant the median over the rounds of its mean time of a folder inside one process, in ms."""
    times = {one.key: [] for one in contestants if one.in_process}
    for _ in range(rounds):
        for one in contestants:
            if one.in_process:
                times[one.key].append(one.bench(folders, passes))
    return {key: statistics.median(each) for key, each in times.items() if None not in each}


def spread(values):
    """Median and 95th percentile."""
    ordered = sorted(values)
    return {"median": statistics.median(ordered), "p95": ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]}


def sample(folders, count):
    """At most `count` of the folders, spread evenly over the list."""
    if count >= len(folders):
        return list(folders)
    return [folders[at * len(folders) // count] for at in range(count)]
