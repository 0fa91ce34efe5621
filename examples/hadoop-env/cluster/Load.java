// Load CLIENTS BLOCKS [read]: each client is a thread that writes a file of BLOCKS blocks of 1 MiB to HDFS, reads it and compares
// the checksums of both; HDFS itself verifies the checksum of each packet. With "read" the files are those of an earlier run.
// Prints the MB/s, written and read together.

import java.io.OutputStream;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import java.util.zip.CRC32C;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

public class Load {
    static final int BLOCK = 1 << 20;

    public static void main(String[] args) throws Exception {
        int clients = Integer.parseInt(args[0]), blocks = Integer.parseInt(args[1]);
        Configuration conf = new Configuration();
        FileSystem files = FileSystem.get(conf);
        boolean write = args.length < 3;
        var pool = Executors.newFixedThreadPool(clients);
        long began = System.nanoTime();
        var tasks = IntStream.range(0, clients).<Callable<Void>>mapToObj(i -> () -> client(files, i, blocks, write)).toList();
        var done = pool.invokeAll(tasks);
        pool.shutdown(); // its threads would keep the JVM alive if a client failed
        for (var task : done) task.get();
        double seconds = (System.nanoTime() - began) / 1e9;
        System.out.printf("%.1f MB/s, %d blocks verified%n", (write ? 2.0 : 1.0) * clients * blocks * BLOCK / 1e6 / seconds, clients * blocks);
    }

    static Void client(FileSystem files, int number, int blocks, boolean write) throws Exception {
        Path path = new Path("/load/" + number);
        byte[] block = new byte[BLOCK];
        CRC32C written = new CRC32C(), read = new CRC32C();
        Random random = new Random(number);
        try (var out = write ? files.create(path, true) : OutputStream.nullOutputStream()) {
            for (int i = 0; i < blocks; i++) {
                random.nextBytes(block);
                written.update(block);
                out.write(block);
            }
        }
        try (var in = files.open(path)) {
            for (int i = 0; i < blocks; i++) {
                in.readFully(block);
                read.update(block);
            }
            if (in.read() != -1) throw new IllegalStateException(path + " is longer than what was written");
        }
        if (read.getValue() != written.getValue()) throw new IllegalStateException(path + " differs from what was written");
        return null;
    }
}
