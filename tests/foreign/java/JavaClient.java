import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** ZooKeeper's own client: JavaClient HOST:PORT. */
public final class JavaClient {
    private static final int TIMEOUT_MS = 20_000;

    interface Try {
        void run() throws Exception;
    }

    static String refusal(Try work) throws Exception {
        try {
            work.run();
            return "OK";
        } catch (KeeperException refused) {
            return refused.code().toString();
        }
    }

    static final class Events implements Watcher {
        final LinkedBlockingQueue<String> queue = new LinkedBlockingQueue<>();

        @Override
        public void process(WatchedEvent event) {
            if (event.getType() != Event.EventType.None) queue.add(event.getType() + " " + event.getPath());
        }

        String next() throws Exception {
            return Stage.next(queue);
        }
    }

    static ZooKeeper connect(String servers) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper zk = new ZooKeeper(servers, TIMEOUT_MS, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) connected.countDown();
        });
        if (!connected.await(30, TimeUnit.SECONDS)) throw new IllegalStateException("no session");
        return zk;
    }

    static byte[] bytes(String text) {
        return text.getBytes();
    }

    public static void main(String[] args) throws Exception {
        String server = args[0];
        ZooKeeper zk = connect(server);
        Stage.ok("session", zk.getSessionTimeout());
        zk.create("/java", bytes("root"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        znodes(zk);
        watches(zk);
        sessions(zk, server);
        multi(zk);
        acl(zk, server);
        chroot(server);
        reconnect(zk, server);
        zk.close();
        Stage.ok("closed");
        System.exit(0);
    }

    static void znodes(ZooKeeper zk) throws Exception {
        Stat stat = new Stat();
        String path = zk.create("/java/a", bytes("1"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, stat);
        Stage.ok("create", path, stat.getVersion(), stat.getDataLength());
        Stage.ok("set", zk.setData("/java/a", bytes("22"), 0).getVersion());
        Stage.ok("get", new String(zk.getData("/java/a", false, stat)), stat.getDataLength());
        Stage.ok("null", zk.create("/java/null", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT), zk.getData("/java/null", false, null));
        Stage.ok("badversion", refusal(() -> zk.setData("/java/a", bytes("x"), 0)), refusal(() -> zk.delete("/java/a", 7)));
        Stage.ok("exists", refusal(() -> zk.create("/java/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)));
        Stage.ok("nonode", refusal(() -> zk.getData("/java/none", false, null)), zk.exists("/java/none", false));
        for (int i = 0; i < 3; i++) {
            Stage.ok("sequence", zk.create("/java/q-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL));
        }
        Stage.ok("children", new TreeSet<>(zk.getChildren("/java", false, stat)), stat.getNumChildren(), stat.getCversion());
        Stage.ok("count", zk.getAllChildrenNumber("/java"));
        Stage.ok("notempty", refusal(() -> zk.delete("/java", -1)));
        zk.delete("/java/a", 1);
        Stage.ok("container", zk.create("/java/c", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER));
        Stage.ok("ttl", refusal(() -> zk.create("/java/t", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, new Stat(), 1000)));
    }

    static void watches(ZooKeeper zk) throws Exception {
        Events once = new Events();
        zk.exists("/java/w", once);
        zk.create("/java/w", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        Stage.ok("watch", once.next());
        zk.getData("/java/w", once, null);
        zk.setData("/java/w", bytes("1"), -1);
        zk.setData("/java/w", bytes("2"), -1);
        Stage.ok("watch", once.next());
        zk.getChildren("/java/w", once);
        zk.create("/java/w/child", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        Stage.ok("watch", once.next(), once.queue.size());
        Events below = new Events();
        zk.addWatch("/java/w", below, AddWatchMode.PERSISTENT_RECURSIVE);
        zk.setData("/java/w/child", bytes("1"), -1);
        zk.setData("/java/w/child", bytes("2"), -1);
        zk.create("/java/w/child/deep", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        zk.delete("/java/w/child/deep", -1);
        for (int i = 0; i < 4; i++) Stage.ok("recursive", below.next());
        zk.removeWatches("/java/w", below, Watcher.WatcherType.Any, false);
        Stage.ok("removed", below.next());
        zk.setData("/java/w/child", bytes("3"), -1);
        Events here = new Events();
        zk.addWatch("/java/w", here, AddWatchMode.PERSISTENT);
        zk.create("/java/w/b", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        zk.delete("/java/w/b", -1);
        Stage.ok("persistent", here.next(), here.next(), below.queue.size());
        zk.removeWatches("/java/w", here, Watcher.WatcherType.Any, false);
    }

    static void sessions(ZooKeeper zk, String server) throws Exception {
        ZooKeeper other = connect(server);
        other.create("/java/e", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        other.create("/java/e-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL);
        Events gone = new Events();
        Stage.ok("owner", zk.exists("/java/e", gone).getEphemeralOwner() == other.getSessionId());
        Stage.ok("ephemerals", new TreeSet<>(other.getEphemerals()), zk.getEphemerals());
        Stage.ok("childless", refusal(() -> other.create("/java/e/c", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)));
        other.close();
        Stage.ok("close", gone.next(), zk.exists("/java/e", false));
    }

    static void multi(ZooKeeper zk) throws Exception {
        List<OpResult> results = zk.multi(List.of(
            Op.create("/java/m", bytes("1"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.setData("/java/m", bytes("2"), 0),
            Op.check("/java/m", 1),
            Op.create("/java/m/n", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.delete("/java/m/n", -1)));
        List<Integer> types = new ArrayList<>();
        for (OpResult result : results) types.add(result.getType());
        Stage.ok("multi", types);
        try {
            zk.multi(List.of(Op.delete("/java/m", -1), Op.check("/java/none", 0), Op.setData("/java", bytes("x"), -1)));
        } catch (KeeperException refused) {
            List<Integer> codes = new ArrayList<>();
            for (OpResult result : refused.getResults()) codes.add(((OpResult.ErrorResult) result).getErr());
            Stage.ok("rollback", refused.code(), codes, zk.exists("/java/m", false) != null);
        }
        results = zk.multi(List.of(Op.getData("/java/m"), Op.getChildren("/java/none")));
        Stage.ok("multiread", new String(((OpResult.GetDataResult) results.get(0)).getData()), ((OpResult.ErrorResult) results.get(1)).getErr());
    }

    static void acl(ZooKeeper zk, String server) throws Exception {
        ZooKeeper owner = connect(server);
        owner.addAuthInfo("digest", bytes("ann:secret"));
        owner.create("/java/private", bytes("p"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        Stage.ok("acl", owner.getACL("/java/private", new Stat()).toString().trim().replaceAll("\\s+", " "));
        Stage.ok("noauth", refusal(() -> zk.getData("/java/private", false, null)), refusal(() -> zk.getACL("/java/private", null)));
        Stage.ok("owner", new String(owner.getData("/java/private", false, null)));
        owner.setACL("/java/private", Ids.READ_ACL_UNSAFE, 0);
        Stage.ok("readable", refusal(() -> zk.getData("/java/private", false, null)), refusal(() -> zk.setData("/java/private", null, -1)));
        Stage.ok("invalid", refusal(() -> zk.create("/java/x", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT)));
        List<String> schemes = new ArrayList<>();
        owner.whoAmI().forEach(info -> schemes.add(info.getAuthScheme() + ":" + info.getUser()));
        Stage.ok("whoami", new TreeSet<>(schemes));
        owner.close();
    }

    static void chroot(String server) throws Exception {
        ZooKeeper below = connect(server + "/java");
        Events events = new Events();
        below.exists("/r", events);
        Stage.ok("chroot", below.create("/r", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT), events.next());
        below.close();
    }

    static void reconnect(ZooKeeper zk, String server) throws Exception {
        Events data = new Events();
        Events below = new Events();
        long session = zk.getSessionId();
        zk.create("/java/mine", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        zk.getData("/java/w", data, null);
        zk.addWatch("/java/w", below, AddWatchMode.PERSISTENT_RECURSIVE);
        Stage.drop();
        Stage.eventually(() -> {
            try {
                return zk.exists("/java/mine", false) != null;
            } catch (KeeperException.ConnectionLossException lost) {
                return false;
            }
        });
        Stage.ok("reconnect", zk.getSessionId() == session);
        ZooKeeper other = connect(server);
        other.setData("/java/w", bytes("after"), -1);
        other.setData("/java/w/child", bytes("after"), -1);
        Stage.ok("rewatched", data.next(), below.next(), below.next());
        other.close();
    }
}
