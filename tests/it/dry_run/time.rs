//! Every way of waiting follows the virtual clock, and what the clock shows is what the script sees.

use super::fixture::{Fixture, assert_close, codes, expected};

#[tokio::test]
async fn r24_waits_for_10_20_30_are_waits_for_totals_of_the_run() {
    let fixture = Fixture::new();
    let report = fixture
        .good("from beamq.commands import *\nbegin()\nfor total in (10, 20, 30):\n    waitfor_uamps(total)\nend()\n")
        .await;
    let waits: Vec<_> = report.timeline.iter().filter(|entry| entry.command == "waitfor_uamps").collect();
    assert_eq!(waits.len(), 3);
    for wait in &waits {
        assert_close(wait.dt_s, 900.0);
        assert_eq!(wait.line, Some(4));
    }
    assert_close(waits.iter().map(|wait| wait.dt_s).sum(), 2700.0);
    // With a second to begin and five to end.
    assert_close(expected(&report), 2706.0);
    assert_eq!(report.totals.counters["uamps"]["unit"], "µA·h");
    assert_close(report.totals.counters["uamps"]["value"].as_f64().unwrap(), 30.0);
    assert_eq!(report.unreached_lines, [] as [u32; 0]);
}

/// Each takes 3 600 s, in a way of its own.
const WAITS: [(&str, &str); 18] = [
    ("time.sleep", "import time\ntime.sleep(3600)"),
    ("from time import sleep", "from time import sleep as nap\nnap(3600)"),
    (
        "a loop that looks at time.time",
        "import time\nend = time.time() + 3600\nwhile time.time() < end:\n    time.sleep(1)",
    ),
    (
        "a loop that looks at monotonic_ns",
        "import time\nend = time.monotonic_ns() + 3600 * 10**9\nwhile time.monotonic_ns() < end:\n    time.sleep(0.5)",
    ),
    (
        "a loop that looks at datetime.now",
        "import time\nfrom datetime import datetime, timedelta\nend = datetime.now() + timedelta(hours=1)\nwhile datetime.now() < end:\n    time.sleep(10)",
    ),
    (
        "a loop that looks at utcnow",
        "import time, datetime\nend = datetime.datetime.utcnow() + datetime.timedelta(hours=1)\nwhile datetime.datetime.utcnow() < end:\n    time.sleep(10)",
    ),
    ("beamq.sleep", "import beamq\nbeamq.sleep(3600)"),
    ("Event.wait", "import threading\nassert threading.Event().wait(3600) is False"),
    (
        "Condition.wait",
        "import threading\nc = threading.Condition()\nwith c:\n    assert c.wait(3600) is False",
    ),
    (
        "Condition.wait_for",
        "import threading\nc = threading.Condition()\nwith c:\n    assert not c.wait_for(lambda: False, 3600)",
    ),
    (
        "Lock.acquire",
        "import threading\nlock = threading.Lock()\nlock.acquire()\nassert lock.acquire(timeout=3600) is False",
    ),
    (
        "RLock of another thread",
        "import threading, time\nlock = threading.RLock()\ndef hold():\n    with lock:\n        time.sleep(3600)\nt = threading.Thread(target=hold)\nt.start()\ntime.sleep(0)\nwith lock:\n    pass\nt.join()",
    ),
    ("queue.get", "import queue\ntry:\n    queue.Queue().get(timeout=3600)\nexcept queue.Empty:\n    pass"),
    (
        "Thread.join",
        "import threading, time\nt = threading.Thread(target=time.sleep, args=(3600,))\nt.start()\nt.join(10)\nassert t.is_alive()\nt.join()\nassert not t.is_alive()",
    ),
    (
        "asyncio.sleep",
        "import asyncio\nasync def main():\n    loop = asyncio.get_running_loop()\n    began = loop.time()\n    await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(1800))\n    assert loop.time() - began >= 3600\nasyncio.run(main())",
    ),
    ("select.select", "import select\nassert select.select([], [], [], 3600) == ([], [], [])"),
    (
        "poll of a pipe",
        "import os, select\nr, w = os.pipe()\np = select.poll()\np.register(r, select.POLLIN)\nassert p.poll(3600 * 1000) == []",
    ),
    (
        "selectors",
        "import os, selectors\nr, w = os.pipe()\ns = selectors.DefaultSelector()\ns.register(r, selectors.EVENT_READ)\nassert s.select(3600) == []",
    ),
];

#[tokio::test]
async fn r25_every_way_of_waiting_an_hour_takes_an_hour_of_virtual_time() {
    let fixture = Fixture::new();
    for (name, source) in WAITS {
        let report = fixture.run(source).await.report;
        assert!(report.ok, "{name}: {:#?}", report.findings);
        let found = expected(&report);
        // A loop that polls goes on for as much as one more turn; asyncio rounds to its clock.
        assert!((3600.0..3610.1).contains(&found), "{name}: {found}");
    }
}

#[tokio::test]
async fn threads_go_on_while_others_wait() {
    let fixture = Fixture::new();
    let report = fixture
        .good(
            "import threading, time, queue\n\
             work = queue.Queue()\n\
             def worker():\n    for n in range(10):\n        time.sleep(60)\n        work.put(n)\n\
             threads = [threading.Thread(target=worker) for _ in range(3)]\n\
             for t in threads: t.start()\n\
             got = [work.get(timeout=700) for _ in range(30)]\n\
             assert sorted(got) == sorted(list(range(10)) * 3), got\n\
             from concurrent.futures import ThreadPoolExecutor\n\
             with ThreadPoolExecutor(4) as pool:\n    list(pool.map(time.sleep, [100] * 8))\n",
        )
        .await;
    assert_close(expected(&report), 600.0 + 200.0);
}

#[tokio::test]
async fn the_clock_begins_where_it_is_told() {
    let fixture = Fixture::new();
    let mut wish = fixture.wish(
        "import datetime, time\n\
         now = datetime.datetime.now(datetime.timezone.utc)\n\
         assert now.isoformat() == '2026-03-01T22:00:00+00:00', now\n\
         assert isinstance(now, datetime.datetime) and isinstance(now, datetime.date)\n\
         time.sleep(7200)\n\
         assert time.gmtime()[:5] == (2026, 3, 2, 0, 0)\n\
         assert datetime.datetime.now(datetime.timezone.utc).date() == datetime.date(2026, 3, 2)\n\
         assert (datetime.datetime.now(datetime.timezone.utc) - now).total_seconds() == 7200\n",
    );
    wish.begins_at = Some("2026-03-01T22:00:00Z".parse().unwrap());
    let report = fixture.simulator.simulate(wish).await.report;
    assert!(report.ok, "{:#?}", report.findings);
}

#[tokio::test]
async fn a_wait_that_nothing_can_end_is_a_finding_with_its_line() {
    let fixture = Fixture::new();
    let report = fixture.run("import threading\nprint(1)\nthreading.Event().wait()\n").await.report;
    assert_eq!(codes(&report), [("waits_forever".to_owned(), Some(3))]);
    assert_eq!((report.ok, report.truncated), (false, Some(true)));
}
