import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;

/** How a program talks to the test that runs it: OK lines, and requests to break something. */
final class Stage {
    private static final BufferedReader IN = new BufferedReader(new InputStreamReader(System.in));

    static void ok(Object... what) {
        StringBuilder line = new StringBuilder("OK");
        for (Object part : what) line.append(' ').append(part);
        System.out.println(line);
    }

    /** The test resets every connection of the server, then answers. */
    static void drop() throws Exception {
        System.out.println("ASK drop");
        if (!"done".equals(IN.readLine())) throw new IllegalStateException("the test is gone");
    }

    static <T> T next(BlockingQueue<T> queue) throws Exception {
        T item = queue.poll(30, TimeUnit.SECONDS);
        if (item == null) throw new IllegalStateException("nothing came");
        return item;
    }

    static void eventually(Callable<Boolean> condition) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!condition.call()) {
            if (System.nanoTime() > end) throw new IllegalStateException("it never came to be");
            Thread.sleep(10);
        }
    }
}
