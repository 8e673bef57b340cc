"""kazoo, the Python client: client.py HOST:PORT. What it prints is for the test that runs it."""

import logging
import queue
import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadVersionError,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
)
from kazoo.protocol.states import EventType
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo.retry import KazooRetry
from kazoo.security import make_digest_acl

PATIENCE = 30


def ok(*what):
    print("OK", *what, flush=True)


def drop():
    """The test resets every connection of the server, then answers."""
    print("ASK drop", flush=True)
    assert sys.stdin.readline() == "done\n"


def connect(server, **options):
    retry = KazooRetry(max_tries=-1, delay=0.05, max_delay=0.5)
    client = KazooClient(
        server, timeout=20, connection_retry=retry, command_retry=retry.copy(), **options
    )
    client.start(timeout=PATIENCE)
    return client


def refusal(work, *errors):
    try:
        work()
    except errors as error:
        return type(error).__name__
    return "none"


def znodes(one):
    ok("create", one.create("/kazoo/deep/a", b"1", makepath=True))
    ok("set", one.set("/kazoo/deep/a", b"22", version=0).version)
    data, stat = one.get("/kazoo/deep/a")
    ok("get", data, stat.version, stat.data_length)
    ok("include-data", one.create("/kazoo/d", b"", include_data=True)[1].version)
    ok("bad-version", refusal(lambda: one.set("/kazoo/d", b"", version=9), BadVersionError))
    ok("exists", refusal(lambda: one.create("/kazoo/d"), NodeExistsError))
    ok("no-node", refusal(lambda: one.get("/none"), NoNodeError), one.exists("/none"))
    ok("not-empty", refusal(lambda: one.delete("/kazoo"), NotEmptyError))
    for _ in range(2):
        ok("sequence", one.create("/kazoo/q-", sequence=True))
    ok("children", sorted(one.get_children("/kazoo")))
    one.delete("/kazoo/deep", recursive=True)


def watches(one, two):
    events = queue.Queue()
    one.exists("/kazoo/w", watch=events.put)
    two.create("/kazoo/w")
    event = events.get(timeout=PATIENCE)
    ok("watch", event.type, event.path)
    seen, children = queue.Queue(), queue.Queue()
    one.DataWatch("/kazoo/w", lambda data, stat: seen.put(data))
    one.ChildrenWatch("/kazoo/w", lambda names: children.put(sorted(names)))
    ok("data-watch", seen.get(timeout=PATIENCE), children.get(timeout=PATIENCE))
    for value in [b"1", b"2"]:
        two.set("/kazoo/w", value)
        ok("data-watch", seen.get(timeout=PATIENCE))
    for name in ["a", "b"]:
        two.create("/kazoo/w/" + name)
        ok("children-watch", children.get(timeout=PATIENCE))
    return seen, children


def transactions(one):
    transaction = one.transaction()
    transaction.create("/kazoo/t", b"1")
    transaction.check("/kazoo/t", version=0)
    transaction.set_data("/kazoo/t", b"2")
    transaction.delete("/kazoo/d")
    results = transaction.commit()
    ok("transaction", results[0], results[1], results[2].version, results[3])
    transaction = one.transaction()
    transaction.delete("/kazoo/t")
    transaction.check("/kazoo/t", version=7)
    transaction.create("/kazoo/u")
    results = [type(result).__name__ for result in transaction.commit()]
    ok("rolled-back", results, one.exists("/kazoo/t") is not None, RolledBackError.code)


def recipes(one, two):
    mine, theirs = one.Lock("/kazoo/lock", "one"), two.Lock("/kazoo/lock", "two")
    mine.acquire(timeout=PATIENCE)
    ok("lock", theirs.acquire(blocking=False), mine.contenders())
    got = threading.Event()
    waiter = threading.Thread(target=lambda: theirs.acquire(timeout=PATIENCE) and got.set())
    waiter.start()
    eventually(lambda: len(mine.contenders()) == 2)
    mine.release()
    ok("handed-over", got.wait(PATIENCE), theirs.contenders())
    waiter.join()
    theirs.release()

    led = queue.Queue()
    for client, name in [(one, "one"), (two, "two")]:
        election = client.Election("/kazoo/election", name)
        election.run(lambda name=name: led.put(name))
    ok("election", led.get(timeout=PATIENCE), led.get(timeout=PATIENCE))

    counter = one.Counter("/kazoo/counter")
    counter += 2
    ok("counter", two.Counter("/kazoo/counter").value)
    semaphore = one.Semaphore("/kazoo/semaphore", max_leases=1)
    semaphore.acquire(timeout=PATIENCE)
    ok("semaphore", two.Semaphore("/kazoo/semaphore", max_leases=1).acquire(blocking=False))
    semaphore.release()
    things = one.Queue("/kazoo/queue")
    things.put(b"late", priority=200)
    things.put(b"early", priority=10)
    ok("queue", two.Queue("/kazoo/queue").get(), two.Queue("/kazoo/queue").get())


def sessions(one, server):
    other = connect(server)
    other.create("/kazoo/e", ephemeral=True)
    events = queue.Queue()
    stat = one.exists("/kazoo/e", watch=events.put)
    ok("owner", stat.ephemeralOwner == other.client_id[0])
    other.stop()
    other.close()
    event = events.get(timeout=PATIENCE)
    ok("closed", event.type == EventType.DELETED, one.exists("/kazoo/e"))


def acl(one, server):
    owner = connect(server, auth_data=[("digest", "ann:secret")])
    owner.create("/kazoo/private", b"p", acl=[make_digest_acl("ann", "secret", all=True)])
    ok("acl", owner.get_acls("/kazoo/private")[0][0].id.id)
    ok("no-auth", refusal(lambda: one.get("/kazoo/private"), NoAuthError))
    ok("owner", owner.get("/kazoo/private")[0])
    owner.stop()
    below = connect(server + "/kazoo")
    ok("chroot", below.create("/below"), one.exists("/kazoo/below") is not None)
    below.stop()


def eventually(condition):
    for _ in range(PATIENCE * 100):
        if condition():
            return
        threading.Event().wait(0.01)
    raise RuntimeError("it never came to be")


def reconnect(one, two, seen, children):
    events = queue.Queue()
    cache = TreeCache(one, "/kazoo/w")
    cache.listen(lambda event: events.put(event.event_type))
    cache.start()
    while events.get(timeout=PATIENCE) != TreeEvent.INITIALIZED:
        pass
    ok("tree-cache", sorted(cache.get_children("/kazoo/w")), cache.get_data("/kazoo/w").data)
    session = one.client_id[0]
    one.create("/kazoo/mine", ephemeral=True)
    drop()
    two.retry(two.set, "/kazoo/w", b"after")
    two.retry(two.create, "/kazoo/w/c")
    ok("data-watch", until(seen, b"after"))
    ok("children-watch", until(children, ["a", "b", "c"]))
    eventually(lambda: cache.get_data("/kazoo/w/c") is not None)
    eventually(lambda: cache.get_data("/kazoo/w").data == b"after")
    mine = one.retry(one.exists, "/kazoo/mine")
    ok("reconnect", mine is not None, one.client_id[0] == session)
    cache.close()


def until(values, wanted):
    while True:
        value = values.get(timeout=PATIENCE)
        if value == wanted:
            return value


def main():
    logging.basicConfig(level=logging.DEBUG, format="%(relativeCreated)d ms %(threadName)s %(message)s")
    server = sys.argv[1]
    one, two = connect(server), connect(server)
    ok("session", one.connected)
    znodes(one)
    seen, children = watches(one, two)
    transactions(one)
    recipes(one, two)
    sessions(one, server)
    acl(one, server)
    reconnect(one, two, seen, children)
    for client in [one, two]:
        client.stop()
        client.close()
    ok("stopped")


main()
