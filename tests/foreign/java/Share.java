import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.Participant;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.retry.ExponentialBackoffRetry;

/** Curator's recipes on command, to share znodes with another client: Share HOST:PORT. A line in, a line out. */
public final class Share {
    private final CuratorFramework client;
    private final InterProcessMutex mutex;
    private final InterProcessReadWriteLock readWrite;
    private final LeaderLatch latch;
    private final GroupMember member;

    private Share(CuratorFramework client) {
        this.client = client;
        mutex = new InterProcessMutex(client, "/share/lock");
        readWrite = new InterProcessReadWriteLock(client, "/share/rw");
        latch = new LeaderLatch(client, "/share/leader", "java");
        member = new GroupMember(client, "/share/group", "java", "1".getBytes());
    }

    public static void main(String[] args) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder().connectString(args[0]).sessionTimeoutMs(20_000)
            .retryPolicy(new ExponentialBackoffRetry(50, 10)).build();
        client.start();
        if (!client.blockUntilConnected(30, TimeUnit.SECONDS)) throw new IllegalStateException("no session");
        Share share = new Share(client);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            System.out.println(share.act(words[0], words.length > 1 ? Integer.parseInt(words[1]) : 0));
        }
        client.close();
        System.exit(0);
    }

    /** The number is a time in milliseconds, or how often. */
    private Object act(String command, int number) throws Exception {
        switch (command) {
            case "lock": return mutex.acquire(number, TimeUnit.MILLISECONDS);
            case "unlock": mutex.release(); return "unlocked";
            case "count": return count(number);
            case "read": return readWrite.readLock().acquire(number, TimeUnit.MILLISECONDS);
            case "unread": readWrite.readLock().release(); return "released";
            case "write": return readWrite.writeLock().acquire(number, TimeUnit.MILLISECONDS);
            case "unwrite": readWrite.writeLock().release(); return "released";
            case "elect": latch.start(); return "started";
            case "leads": return latch.await(number, TimeUnit.MILLISECONDS);
            case "leader": return latch.getLeader().getId();
            case "candidates": return candidates();
            case "resign": latch.close(); return "closed";
            case "join": member.start(); return "started";
            case "members": return members(number);
            case "leave": member.close(); return "closed";
            default: throw new IllegalArgumentException(command);
        }
    }

    /** Counts under the lock, and says how often somebody else had counted in between. */
    private int count(int times) throws Exception {
        int turns = 0;
        for (int i = 0; i < times; i++) {
            mutex.acquire();
            try {
                String[] counter = new String(client.getData().forPath("/share/counter")).split(" ");
                if (!counter[1].equals("java")) turns++;
                String next = (Integer.parseInt(counter[0]) + 1) + " java";
                client.setData().forPath("/share/counter", next.getBytes());
            } finally {
                mutex.release();
            }
        }
        return turns;
    }

    private List<String> candidates() throws Exception {
        List<String> ids = new ArrayList<>();
        for (Participant participant : latch.getParticipants()) ids.add(participant.getId());
        return ids;
    }

    /** Waits until there are so many. */
    private Object members(int number) throws Exception {
        Stage.eventually(() -> member.getCurrentMembers().size() == number);
        TreeMap<String, String> members = new TreeMap<>();
        member.getCurrentMembers().forEach((id, data) -> members.put(id, new String(data)));
        return members;
    }
}
