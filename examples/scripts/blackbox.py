"""A script that knows nothing of beamq: it runs untouched, as `python3 blackbox.py` would run it."""

import sys
import time


def main():
    started = time.monotonic()
    primes = []
    candidate = 2
    while len(primes) < 2000:
        if all(candidate % prime for prime in primes if prime * prime <= candidate):
            primes.append(candidate)
            if len(primes) % 500 == 0:
                print(f"{len(primes)} primes, the last is {primes[-1]}")
                time.sleep(0.3)
        candidate += 1
    print(f"done in {time.monotonic() - started:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
