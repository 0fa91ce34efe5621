import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.zip.Deflater;

/**
 * Compresses in many threads: java Compress THREADS ROUNDS. A Deflater's memory is not in the Java heap: zlib allocates it
 * by malloc, so each thread uses an arena.
 */
public class Compress {
  public static void main(String[] args) throws InterruptedException {
    int threads = Integer.parseInt(args[0]), rounds = Integer.parseInt(args[1]);
    var done = new CountDownLatch(threads);
    long started = System.nanoTime();
    for (int t = 0; t < threads; t++) {
      int seed = t;
      new Thread(() -> {
        var random = new Random(seed);
        var in = new byte[64 << 10];
        var out = new byte[128 << 10];
        for (int r = 0; r < rounds; r++) {
          for (int i = 0; i < in.length; i++) in[i] = (byte) ('a' + random.nextInt(8));
          var deflater = new Deflater(1);
          deflater.setInput(in);
          deflater.finish();
          while (!deflater.finished()) deflater.deflate(out);
          deflater.end();
        }
        done.countDown();
      }).start();
    }
    done.await();
    System.out.printf("compressed: %.1f MB/s%n", threads * rounds * 65536.0 / 1e6 / ((System.nanoTime() - started) / 1e9));
  }
}
