import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.curator.retry.RetryOneTime;
import org.apache.zookeeper.CreateMode;

/** Curator's recipes: Curator HOST:PORT. */
public final class Curator {
    static CuratorFramework connect(String server) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
            .connectString(server).namespace("curator").sessionTimeoutMs(20_000)
            .retryPolicy(new ExponentialBackoffRetry(50, 10)).build();
        client.start();
        if (!client.blockUntilConnected(30, TimeUnit.SECONDS)) throw new IllegalStateException("no session");
        return client;
    }

    public static void main(String[] args) throws Exception {
        CuratorFramework one = connect(args[0]);
        CuratorFramework two = connect(args[0]);
        Stage.ok("session");
        operations(one);
        mutex(one, two);
        latch(one, two);
        semaphore(one, two);
        counter(one, two);
        barrier(one, two);
        cacheAndReconnect(one, two);
        one.close();
        two.close();
        Stage.ok("closed");
        System.exit(0);
    }

    static void operations(CuratorFramework one) throws Exception {
        Stage.ok("create", one.create().creatingParentsIfNeeded().forPath("/ops/deep/a", "1".getBytes()));
        Stage.ok("containers", one.create().creatingParentContainersIfNeeded().forPath("/ops/box/a"));
        Stage.ok("protected", one.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
            .forPath("/ops/p-").replaceFirst("_c_[-0-9a-f]+", "_c_ID"));
        Stage.ok("orset", one.create().orSetData().forPath("/ops/deep/a", "2".getBytes()));
        List<CuratorTransactionResult> results = one.transaction().forOperations(
            one.transactionOp().create().forPath("/ops/t", "1".getBytes()),
            one.transactionOp().check().withVersion(0).forPath("/ops/t"),
            one.transactionOp().setData().forPath("/ops/t", "2".getBytes()),
            one.transactionOp().delete().forPath("/ops/deep/a"));
        List<String> types = new ArrayList<>();
        for (CuratorTransactionResult result : results) types.add(result.getType() + ":" + result.getForPath());
        Stage.ok("transaction", types);
        one.delete().deletingChildrenIfNeeded().forPath("/ops");
        Stage.ok("deleted", one.checkExists().forPath("/ops"));
    }

    static void mutex(CuratorFramework one, CuratorFramework two) throws Exception {
        InterProcessMutex mine = new InterProcessMutex(one, "/mutex");
        InterProcessMutex theirs = new InterProcessMutex(two, "/mutex");
        mine.acquire();
        mine.acquire();
        Stage.ok("mutex", theirs.acquire(50, TimeUnit.MILLISECONDS));
        CountDownLatch got = new CountDownLatch(1);
        Thread waiter = new Thread(() -> {
            try {
                theirs.acquire();
                got.countDown();
                theirs.release();
            } catch (Exception failed) {
                failed.printStackTrace();
            }
        });
        waiter.start();
        Stage.eventually(() -> mine.getParticipantNodes().size() == 2);
        mine.release();
        Stage.ok("reentrant", got.getCount());
        mine.release();
        Stage.ok("handed-over", got.await(30, TimeUnit.SECONDS));
        waiter.join();
        Stage.ok("left", one.getChildren().forPath("/mutex"));
    }

    static void latch(CuratorFramework one, CuratorFramework two) throws Exception {
        LeaderLatch first = new LeaderLatch(one, "/latch", "first");
        first.start();
        first.await();
        LeaderLatch second = new LeaderLatch(two, "/latch", "second");
        second.start();
        Stage.eventually(() -> first.getParticipants().size() == 2);
        Stage.ok("leader", second.getLeader().getId(), second.hasLeadership());
        first.close();
        second.await();
        Stage.ok("next-leader", second.getLeader().getId());
        second.close();
    }

    static void semaphore(CuratorFramework one, CuratorFramework two) throws Exception {
        InterProcessSemaphoreV2 mine = new InterProcessSemaphoreV2(one, "/semaphore", 2);
        InterProcessSemaphoreV2 theirs = new InterProcessSemaphoreV2(two, "/semaphore", 2);
        var leases = new ArrayList<>(mine.acquire(2));
        Stage.ok("semaphore", theirs.acquire(50, TimeUnit.MILLISECONDS));
        mine.returnLease(leases.get(0));
        Stage.ok("lease", theirs.acquire(30, TimeUnit.SECONDS) != null);
    }

    static void counter(CuratorFramework one, CuratorFramework two) throws Exception {
        DistributedAtomicLong counter = new DistributedAtomicLong(one, "/counter", new RetryOneTime(10));
        counter.increment();
        counter.add(41L);
        Stage.ok("counter", new DistributedAtomicLong(two, "/counter", new RetryOneTime(10)).get().postValue());
    }

    static void barrier(CuratorFramework one, CuratorFramework two) throws Exception {
        DistributedBarrier barrier = new DistributedBarrier(one, "/barrier");
        barrier.setBarrier();
        DistributedBarrier theirs = new DistributedBarrier(two, "/barrier");
        Stage.ok("barrier", theirs.waitOnBarrier(50, TimeUnit.MILLISECONDS));
        barrier.removeBarrier();
        Stage.ok("barrier", theirs.waitOnBarrier(30, TimeUnit.SECONDS));
    }

    static void cacheAndReconnect(CuratorFramework one, CuratorFramework two) throws Exception {
        two.create().creatingParentsIfNeeded().forPath("/cache/a", "1".getBytes());
        two.create().forPath("/cache/b", "1".getBytes());
        LinkedBlockingQueue<String> events = new LinkedBlockingQueue<>();
        CountDownLatch loaded = new CountDownLatch(1);
        CuratorCache cache = CuratorCache.build(one, "/cache");
        cache.listenable().addListener(CuratorCacheListener.builder().forInitialized(loaded::countDown)
            .forAll((type, before, after) -> {
                if (type != null) events.add(type + " " + (after == null ? before : after).getPath());
            }).build());
        cache.start();
        loaded.await(30, TimeUnit.SECONDS);
        TreeSet<String> paths = new TreeSet<>();
        cache.stream().forEach(node -> paths.add(node.getPath()));
        Stage.ok("cache", paths, events.size());
        events.clear();
        two.setData().forPath("/cache/a", "2".getBytes());
        Stage.ok("cache", Stage.next(events));
        two.delete().forPath("/cache/b");
        Stage.ok("cache", Stage.next(events));

        LinkedBlockingQueue<String> seen = new LinkedBlockingQueue<>();
        PersistentWatcher watcher = new PersistentWatcher(one, "/watched", true);
        watcher.getListenable().addListener(event -> {
            if (event.getPath() != null) seen.add(event.getType() + " " + event.getPath());
        });
        watcher.start();
        PersistentNode node = new PersistentNode(one, CreateMode.EPHEMERAL, false, "/node", "here".getBytes());
        node.start();
        Stage.ok("node", node.waitForInitialCreate(30, TimeUnit.SECONDS));
        two.delete().forPath("/node");
        Stage.eventually(() -> two.checkExists().forPath("/node") != null);
        Stage.ok("node-again");

        Stage.drop();
        two.setData().forPath("/cache/a", "3".getBytes());
        Stage.eventually(() -> cache.get("/cache/a").map(data -> new String(data.getData())).orElse("").equals("3"));
        Stage.ok("cache-resumed", one.checkExists().forPath("/node") != null);
        two.create().creatingParentsIfNeeded().forPath("/watched/a");
        Stage.ok("watcher", Stage.next(seen), Stage.next(seen));
        two.delete().forPath("/node");
        Stage.eventually(() -> two.checkExists().forPath("/node") != null);
        node.close();
        Stage.ok("node-closed", two.checkExists().forPath("/node"));
        cache.close();
        watcher.close();
    }
}
