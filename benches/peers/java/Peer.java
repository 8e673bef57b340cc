// ZooKeeper's own client ("java") and CuratorCache ("curator") under the contract of `zk-bench peer-watcher`.
//
//   java -cp .. Peer java|curator --bench notify|load|throughput --connect .. --root .. --count .. --keys .. ..

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.retry.RetryForever;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.AsyncCallback;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooKeeper;

public final class Peer {
    static final int SESSION_TIMEOUT_MS = 30_000;
    static final int IN_FLIGHT = 256;
    static final long THREE_SECONDS_NS = 3_000_000_000L;
    /** Reads on their way while the tree is loaded. */
    static final int WINDOW = 1000;

    static Map<String, String> args = new HashMap<>();

    public static void main(String[] line) throws Exception {
        if (System.getenv("ZK_BENCH_ENDS_WITH_STDIN") != null) {
            Thread watching = new Thread(Peer::endWithStdin);
            watching.setDaemon(true);
            watching.start();
        }
        for (int at = 1; at + 1 < line.length; at += 2) {
            args.put(line[at], line[at + 1]);
        }
        boolean curator = line[0].equals("curator");
        switch (arg("--bench")) {
            case "notify" -> notify(curator);
            case "load" -> load(curator);
            case "throughput" -> {
                if (curator) {
                    throw new IllegalArgumentException("CuratorCache reads from memory: it has no getData to measure");
                }
                throughput();
            }
            default -> throw new IllegalArgumentException("no bench " + arg("--bench"));
        }
        // Threads of clients may still run.
        Runtime.getRuntime().halt(0);
    }

    /** The harness that asked for it holds the other end of stdin, and closes it however it ends. */
    static void endWithStdin() {
        try {
            System.in.transferTo(OutputStream.nullOutputStream());
        } catch (IOException e) {
            // It is over in either case.
        }
        Runtime.getRuntime().halt(1);
    }

    static String arg(String name) {
        String value = args.get(name);
        if (value == null) {
            throw new IllegalArgumentException(name + " is missing");
        }
        return value;
    }

    static int number(String name, int otherwise) {
        return args.containsKey(name) ? Integer.parseInt(args.get(name)) : otherwise;
    }

    static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    // What a copy is told.

    interface Hold {
        void value(byte[] data);
    }

    /** A copy of all at and below the root; tells of every value that it gets to know. */
    interface Copy {
        int size();
    }

    static Copy open(boolean curator, Hold hold) throws Exception {
        return curator ? new CuratorCopy(hold) : new JavaCopy(hold);
    }

    /** A recursive watch and asynchronous reads, many on their way. */
    static final class JavaCopy implements Copy, Watcher, AsyncCallback.DataCallback {
        final Map<String, byte[]> copy = new ConcurrentHashMap<>();
        final Semaphore window = new Semaphore(WINDOW);
        final Hold hold;
        final ZooKeeper client;
        volatile boolean loaded;

        JavaCopy(Hold hold) throws Exception {
            this.hold = hold;
            client = connect();
            client.addWatch(arg("--root"), this, AddWatchMode.PERSISTENT_RECURSIVE);
            List<String> level = List.of(arg("--root"));
            while (!level.isEmpty()) {
                level = below(read(level));
            }
            loaded = true;
        }

        /** Reads them all; those that have children. */
        List<String> read(List<String> paths) throws Exception {
            List<String> parents = java.util.Collections.synchronizedList(new ArrayList<>());
            for (String path : paths) {
                window.acquire();
                client.getData(path, false, (code, of, context, data, stat) -> {
                    if (code == Code.OK.intValue()) {
                        copy.put(of, data);
                        if (stat.getNumChildren() > 0) {
                            parents.add(of);
                        }
                    }
                    window.release();
                }, null);
            }
            window.acquire(WINDOW);
            window.release(WINDOW);
            return parents;
        }

        List<String> below(List<String> parents) throws Exception {
            List<String> below = java.util.Collections.synchronizedList(new ArrayList<>());
            for (String parent : parents) {
                window.acquire();
                client.getChildren(parent, false, (code, of, context, names) -> {
                    if (code == Code.OK.intValue()) {
                        names.forEach(name -> below.add(of + "/" + name));
                    }
                    window.release();
                }, null);
            }
            window.acquire(WINDOW);
            window.release(WINDOW);
            return below;
        }

        @Override
        public void process(WatchedEvent event) {
            switch (event.getType()) {
                case NodeDataChanged, NodeCreated -> client.getData(event.getPath(), false, this, null);
                case NodeDeleted -> copy.remove(event.getPath());
                default -> { }
            }
        }

        @Override
        public void processResult(int code, String path, Object context, byte[] data, org.apache.zookeeper.data.Stat stat) {
            if (code == Code.OK.intValue()) {
                copy.put(path, data);
                hold.value(data);
            }
        }

        @Override
        public int size() {
            return copy.size();
        }
    }

    static ZooKeeper connect() throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper client = new ZooKeeper(arg("--connect"), SESSION_TIMEOUT_MS, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        connected.await();
        return client;
    }

    static final class CuratorCopy implements Copy {
        final CuratorCache cache;

        CuratorCopy(Hold hold) throws Exception {
            CuratorFramework client = CuratorFrameworkFactory.builder().connectString(arg("--connect"))
                    .sessionTimeoutMs(SESSION_TIMEOUT_MS).retryPolicy(new RetryForever(100)).build();
            client.start();
            client.blockUntilConnected();
            cache = CuratorCache.build(client, arg("--root"));
            CountDownLatch loaded = new CountDownLatch(1);
            cache.listenable().addListener(CuratorCacheListener.builder().forInitialized(loaded::countDown).build());
            cache.start();
            loaded.await();
            // Only now: what the load finds was written for another watcher.
            cache.listenable().addListener(CuratorCacheListener.builder()
                    .forCreatesAndChanges((before, now) -> hold.value(now.getData())).build());
        }

        @Override
        public int size() {
            return cache.size();
        }
    }

    // notify

    static void notify(boolean curator) throws Exception {
        int count = number("--count", 100_000);
        int sessions = number("--sessions", 1);
        Samples samples = new Samples(count, sessions);
        List<Copy> copies = new ArrayList<>();
        for (int at = 0; at < sessions; at++) {
            copies.add(open(curator, samples::hold));
        }
        for (Copy copy : copies) {
            if (copy.size() <= number("--keys", 1)) {
                throw new IllegalStateException(copy.size() + " znodes instead of " + (number("--keys", 1) + 1));
            }
        }
        say("READY");
        samples.last.await();
        say(samples.line());
    }

    /** As zk-bench's samples.rs: the last session to hold a value counts. */
    static final class Samples {
        final int sessions;
        final int[] holders;
        final long[] latencies;
        final CountDownLatch last;
        long n;
        long beginCpuNs = -1;

        Samples(int count, int sessions) {
            this.sessions = sessions;
            holders = new int[count + 1];
            latencies = new long[count + 1];
            last = new CountDownLatch(sessions);
        }

        void hold(byte[] value) {
            if (value == null || value.length < 16) {
                return;
            }
            ByteBuffer stamp = ByteBuffer.wrap(value);
            long sequence = stamp.getLong();
            long dueNs = stamp.getLong();
            if (sequence == -1) {
                last.countDown();
                return;
            }
            synchronized (this) {
                if (sequence < 1 || sequence >= holders.length) {
                    return;
                }
                n++;
                if (++holders[(int) sequence] == sessions) {
                    // nanoTime is CLOCK_MONOTONIC on Linux.
                    latencies[(int) sequence] = System.nanoTime() - dueNs;
                    if (beginCpuNs < 0) {
                        beginCpuNs = cpuNs();
                    }
                }
            }
        }

        synchronized String line() throws Exception {
            long cpu = cpuNs() - Math.max(beginCpuNs, 0);
            long[] sorted = java.util.stream.IntStream.range(1, holders.length).filter(at -> holders[at] >= sessions)
                    .mapToLong(at -> latencies[at]).sorted().toArray();
            double updates = Math.max(sorted.length, 1);
            return String.format(Locale.ROOT, "{\"bench\":\"notify\",\"watcher\":\"%s\",\"n\":%d,\"distinct\":%d,\"p50\":%.1f,"
                    + "\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,\"cpu_us_per_update\":%.1f,%s}", arg("--name"), n,
                    sorted.length, us(sorted, 0.5), us(sorted, 0.9), us(sorted, 0.99), us(sorted, 0.999), us(sorted, 1.0),
                    cpu / 1e3 / updates, memory());
        }
    }

    /** Element ceil(q * n), counted from 1, in microseconds. */
    static double us(long[] sorted, double q) {
        int rank = Math.max((int) Math.ceil(q * sorted.length - 1e-9), 1);
        return sorted.length == 0 ? 0 : sorted[rank - 1] / 1e3;
    }

    static long cpuNs() {
        var system = (com.sun.management.OperatingSystemMXBean) java.lang.management.ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime();
    }

    static String memory() throws Exception {
        long rss = 0;
        long hwm = 0;
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            String[] words = line.split("\\s+");
            if (words[0].equals("VmRSS:")) {
                rss = Long.parseLong(words[1]);
            } else if (words[0].equals("VmHWM:")) {
                hwm = Long.parseLong(words[1]);
            }
        }
        return "\"rss_kb\":" + rss + ",\"hwm_kb\":" + hwm;
    }

    // load

    static void load(boolean curator) throws Exception {
        long begin = System.nanoTime();
        long beginCpu = cpuNs();
        Copy copy = open(curator, data -> { });
        say(String.format(Locale.ROOT, "{\"bench\":\"load\",\"watcher\":\"%s\",\"nodes\":%d,\"seconds\":%.6f,\"cpu_s\":%.6f,%s}",
                arg("--name"), copy.size(), (System.nanoTime() - begin) / 1e9, (cpuNs() - beginCpu) / 1e9, memory()));
    }

    // throughput

    static void throughput() throws Exception {
        ZooKeeper client = connect();
        String path = arg("--root") + "/k0000";
        flood(client, path, THREE_SECONDS_NS);
        long begin = System.nanoTime();
        long beginCpu = cpuNs();
        long ops = flood(client, path, number("--secs", 5) * 1_000_000_000L);
        double seconds = (System.nanoTime() - begin) / 1e9;
        double cpuUs = (cpuNs() - beginCpu) / 1e3;
        long until = System.nanoTime() + THREE_SECONDS_NS;
        var single = java.util.stream.LongStream.builder();
        for (long from = System.nanoTime(); from < until; from = System.nanoTime()) {
            client.getData(path, false, null);
            single.add(System.nanoTime() - from);
        }
        long[] sorted = single.build().sorted().toArray();
        say(String.format(Locale.ROOT, "{\"bench\":\"throughput\",\"watcher\":\"%s\",\"ops\":%d,\"ops_s\":%.1f,"
                + "\"cpu_us_per_op\":%.2f,\"seq_p50\":%.1f,\"seq_p99\":%.1f}", arg("--name"), ops, ops / seconds,
                cpuUs / Math.max(ops, 1), us(sorted, 0.5), us(sorted, 0.99)));
    }

    static long flood(ZooKeeper client, String path, long forNs) throws Exception {
        long until = System.nanoTime() + forNs;
        AtomicLong ops = new AtomicLong();
        Semaphore window = new Semaphore(IN_FLIGHT);
        AsyncCallback.DataCallback done = (code, of, context, data, stat) -> {
            ops.incrementAndGet();
            window.release();
        };
        while (System.nanoTime() < until) {
            window.acquire();
            client.getData(path, false, done, null);
        }
        window.acquire(IN_FLIGHT);
        return ops.get();
    }
}
