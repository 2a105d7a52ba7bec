"""`python -m tests.reconciliation [runs]`: every planted break is found, no false one."""

import sys
import time

from tests.reconciliation.run import run

count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
began = time.perf_counter()
tally = run(range(count))
spent = time.perf_counter() - began
for kind, number in sorted(tally.planted.items()):
    print(f"{kind:20} {number:8} planted")
print(f"{tally.runs} reconciliations in {spent:.1f} s: {len(tally.missed)} breaks missed,")
print(f"{len(tally.false)} false ones")
for seed, one in (tally.missed + tally.false)[:10]:
    print("  seed", seed, one)
sys.exit(bool(tally.missed or tally.false))
