"""Real faults on real processes: `python -m tests.torture`, and by the thousand in `.kills`."""
